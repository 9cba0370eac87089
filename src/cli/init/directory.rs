//! The questions about the directory, and the table that comes of them.

use clap::ValueEnum as _;

use super::dialog::{Dialog, Question};
use crate::cli::args::{Init, Kind};
use crate::cli::draft::Draft;
use crate::cli::{Failure, terminal::ask};
use crate::secret::Secret;

/// The answer that means nothing.
const NONE: &str = "none";
/// The file of the service account's password.
const PASSWORD_FILE: &str = "ldap.password";

/// What an earlier round said, and what an option says.
type Given<'a> = (fn(&Directory) -> &str, &'a Option<String>);

/// What was said of the directory.
#[derive(Debug)]
pub(super) struct Directory {
    kind: Kind,
    servers: Vec<String>,
    ca_file: String,
    base: String,
    bind_dn: String,
    password: Option<Secret>,
    realm: String,
    domain: String,
}

impl Directory {
    /// Asks; what was said in an earlier round is suggested.
    pub(super) fn ask(
        wanted: &Init,
        before: Option<&Self>,
        dialog: &mut Dialog<'_, '_>,
    ) -> Result<Self, Failure> {
        let kind = ask_kind(wanted, before, dialog)?;
        let servers = servers(wanted, before, dialog)?;
        let domain = domain_of(&servers);
        let suggested_realm = if domain.is_empty() { NONE } else { &domain };
        let mut text = |text, option, suggestion: &str, given: Given<'_>| {
            let question = Question {
                text,
                option,
                suggestion,
            };
            let (of, wanted) = given;
            dialog.answer(&question, before.map(of).or(wanted.as_deref()))
        };
        let ca_file = text(
            "The file of its CA, if the system does not know it",
            "--ca-file",
            NONE,
            (|before| &before.ca_file, &wanted.ca_file),
        )?;
        let base = text(
            "People are found under",
            "--base",
            &suggested_base(kind, &domain),
            (|before| &before.base, &wanted.base),
        )?;
        let realm = text(
            "What people may type behind an @, or none",
            "--realm",
            suggested_realm,
            (|before| &before.realm, &wanted.realm),
        )?;
        let suggested_bind = suggested_bind(kind, &domain);
        let domain = match kind {
            Kind::Ad => text(
                "What they may type before a \\, or none",
                "--domain",
                &windows_domain(&domain),
                (|before| &before.domain, &wanted.domain),
            )?,
            Kind::Openldap | Kind::Ds389 => NONE.to_owned(),
        };
        let bind_dn = text(
            "The account that searches, or none",
            "--bind-dn",
            &suggested_bind,
            (|before| &before.bind_dn, &wanted.bind_dn),
        )?;
        Ok(Self {
            password: password(&bind_dn, wanted, before, dialog)?,
            kind,
            servers,
            ca_file,
            base,
            bind_dn,
            realm,
            domain,
        })
    }

    /// Writes the table.
    pub(super) fn write(&self, draft: &mut Draft) {
        draft.remark("Where people are: found by the account that searches, their passwords tried by a bind as themselves.");
        draft.table(&["directory", "campus"]);
        draft.texts("servers", &self.servers);
        if self.ca_file != NONE {
            draft.text("ca-file", &self.ca_file);
        }
        draft.text("base", &self.base);
        if self.bind_dn != NONE {
            draft.text("bind-dn", &self.bind_dn);
        }
        if let Some(password) = &self.password {
            draft.secret("password-file", PASSWORD_FILE, Some(password.clone()));
        }
        draft.text("user-filter", filter(self.kind));
        draft.remark("Numbers for codes by SMS are in this attribute.");
        draft.text("phone", "mobile");
        if self.realm != NONE {
            draft.remark("user@realm is the same person as user.");
            draft.texts("realms", &[&self.realm]);
        }
        if self.domain != NONE {
            draft.remark("And so is DOMAIN\\user.");
            draft.texts("domains", &[&self.domain]);
        }
        match self.kind {
            Kind::Ad => {
                draft.remark("Groups within groups count.");
                draft.text("groups", "chain");
                draft.text("group-base", &self.base);
            }
            Kind::Ds389 => draft.text("groups", "member-of"),
            Kind::Openldap => {
                draft.remark("The overlay memberof keeps memberOf; without it, groups are searched for what they list.");
                draft.text("groups", "member-of");
                draft.line("#groups = \"member-search\"");
                draft.line("#group-base = \"ou=groups,dc=example,dc=ac,dc=jp\"");
            }
        }
    }
}

fn servers(
    wanted: &Init,
    before: Option<&Directory>,
    dialog: &mut Dialog<'_, '_>,
) -> Result<Vec<String>, Failure> {
    let question = Question {
        text: "Its servers, as ldaps://HOST, with spaces between",
        option: "--server",
        suggestion: "",
    };
    let given = before.map_or(&wanted.servers, |before| &before.servers);
    let servers = dialog.answers(&question, given)?;
    Ok(servers.iter().map(|server| url(server)).collect())
}

fn ask_kind(
    wanted: &Init,
    before: Option<&Directory>,
    dialog: &mut Dialog<'_, '_>,
) -> Result<Kind, Failure> {
    let name = |kind: Kind| {
        let value = kind.to_possible_value();
        value.map(|value| value.get_name().to_owned())
    };
    let mut given = before
        .map(|before| before.kind)
        .or(wanted.kind)
        .and_then(name);
    let question = Question {
        text: "Its kind: openldap, ad (Active Directory) or 389",
        option: "--kind",
        suggestion: "openldap",
    };
    loop {
        let answer = dialog.answer(&question, given.as_deref())?;
        match Kind::from_str(&answer, true) {
            Ok(kind) => return Ok(kind),
            Err(_) => dialog.page.line("  That is none of the three.")?,
        }
        given = None;
    }
}

fn password(
    bind_dn: &str,
    wanted: &Init,
    before: Option<&Directory>,
    dialog: &mut Dialog<'_, '_>,
) -> Result<Option<Secret>, Failure> {
    if bind_dn == NONE {
        return Ok(None);
    }
    let known = before.and_then(|before| before.password.as_ref());
    match (&wanted.password_file, known) {
        // A file has been read once already: standard input cannot be read again.
        (Some(file), None) => return ask::first_line(file).map(Some),
        (None, _) if !dialog.asks => {
            return Err(Failure::usage(
                "--password-file is needed: nobody is asked.",
            ));
        }
        _ => {}
    }
    let text = match known {
        Some(_) => "That account's password; empty is the one before",
        None => "That account's password",
    };
    let typed = dialog.password(text)?.or_else(|| known.cloned());
    let needed = || Failure::new("A password is needed, and nothing is written.");
    typed.ok_or_else(needed).map(Some)
}

/// A host is meant with TLS.
fn url(server: &str) -> String {
    if server.contains("://") {
        server.to_owned()
    } else {
        format!("ldaps://{server}")
    }
}

/// The domain of the first server's name, empty if it has none.
fn domain_of(servers: &[String]) -> String {
    let host = servers.first().and_then(|url| url.split_once("://"));
    let host = host.map_or("", |(_, host)| host.trim_end_matches('/'));
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    let is_name = host.chars().any(|c| c.is_ascii_alphabetic()) && !host.contains(':');
    match host.split_once('.') {
        Some((_, domain)) if is_name => domain.to_ascii_lowercase(),
        _ => String::new(),
    }
}

fn components(domain: &str) -> String {
    let parts: Vec<String> = domain.split('.').map(|part| format!("dc={part}")).collect();
    parts.join(",")
}

fn suggested_base(kind: Kind, domain: &str) -> String {
    match (kind, domain) {
        (_, "") => String::new(),
        (Kind::Ad, domain) => components(domain),
        (Kind::Openldap | Kind::Ds389, domain) => format!("ou=people,{}", components(domain)),
    }
}

fn suggested_bind(kind: Kind, domain: &str) -> String {
    match (kind, domain) {
        (_, "") => String::new(),
        (Kind::Ad, domain) => format!("cn=sekisho,cn=users,{}", components(domain)),
        (Kind::Openldap | Kind::Ds389, domain) => {
            format!("cn=sekisho,ou=services,{}", components(domain))
        }
    }
}

/// What Windows calls a domain, as a rule.
fn windows_domain(domain: &str) -> String {
    match domain.split('.').next() {
        None | Some("") => NONE.to_owned(),
        Some(first) => first.to_ascii_uppercase(),
    }
}

const fn filter(kind: Kind) -> &'static str {
    match kind {
        Kind::Openldap | Kind::Ds389 => "(&(objectClass=person)(uid={user}))",
        Kind::Ad => "(&(objectCategory=person)(objectClass=user)(sAMAccountName={user}))",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_is_called_suggests_the_rest() {
        let domain = |server: &str| domain_of(&[url(server)]);
        assert_eq!(domain("LDAP1.example.ac.jp"), "example.ac.jp");
        assert_eq!(
            domain("ldaps://dc1.ad.example.ac.jp:636/"),
            "ad.example.ac.jp"
        );
        for nameless in [
            "192.0.2.5",
            "ldap://192.0.2.5:389",
            "localhost",
            "[2001:db8::1]",
            "",
        ] {
            assert_eq!(domain(nameless), "", "{nameless}");
        }
        assert_eq!(
            suggested_base(Kind::Openldap, "example.ac.jp"),
            "ou=people,dc=example,dc=ac,dc=jp"
        );
        assert_eq!(suggested_base(Kind::Ad, "ad.example"), "dc=ad,dc=example");
        assert_eq!(suggested_base(Kind::Ds389, ""), "");
        assert_eq!(windows_domain("ad.example"), "AD");
        assert_eq!(windows_domain(""), NONE);
    }
}
