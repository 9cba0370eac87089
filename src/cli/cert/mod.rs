//! `cert`: makes certificates for Wi-Fi, and says what is in one.
//!
//! Not here: what a certificate lacks (`daemon`), and other people's CAs: who has one asks it for a certificate.

mod files;
mod making;

use std::fs;
use std::path::Path;

use serde_json::json;

use super::args::Cert;
use super::terminal::{Page, padded, plain};
use super::{Ended, Exit, Failure, check};
use crate::clock::{Clock, Timestamp};
use crate::daemon::{Certificate, Role};
use crate::{config, daemon};
use files::{Folder, Put, put};
use making::{Authority, Made, Wanted};

/// Columns of a row's name.
const NAME_COLUMNS: usize = 10;
/// Octets of a file that is shown: a long list of CAs.
const FILE_OCTETS: u64 = 1 << 20;

pub(super) fn cert(command: Cert, config: &Path, page: &mut Page<'_>) -> Ended {
    let now = Clock::system().now();
    match command {
        Cert::Ca { name, out, days } => ca(&name, &out, (now, days), page),
        Cert::Server {
            ca,
            names,
            out,
            days,
        } => server(&ca, names, &out, (now, days), page),
        Cert::Client {
            ca,
            mail,
            out,
            days,
        } => client(&ca, mail, &out, (now, days), page),
        Cert::Show { files } => show(&files, config, now, page),
    }
}

fn ca(name: &str, out: &Path, life: (Timestamp, u32), page: &mut Page<'_>) -> Ended {
    let (certificate, key) = (out.join("ca.pem"), out.join("ca.key"));
    if certificate.exists() || key.exists() {
        return Err(Failure::new(format!(
            "There is a CA in {} already. Devices that believe it would not believe another: make that in another folder.",
            out.display()
        )));
    }
    let made = making::ca(name, life)?;
    files::make(out, Folder::Private)?;
    put(&key, made.key.as_bytes(), Put::Secret, life.0)?;
    put(
        &certificate,
        made.certificate.as_bytes(),
        Put::Public,
        life.0,
    )?;
    let read = made.read()?;
    if page.is_json() {
        page.object(&json!({ "certificate": certificate, "key": key, "made": read }))?;
        return Ok(Exit::Done);
    }
    page.line(format!(
        "Made the CA {:?}: {}, until {}.",
        plain(name),
        certificate.display(),
        page.moment(read.not_after.millis())
    ))?;
    page.line(format!("SHA-256 {}", read.sha256))?;
    page.line(format!(
        "Its key is {}. Whoever has that can pretend to be your Wi-Fi. Once the server's certificate is made, take it off this machine, \
         and keep it where it is found when that is renewed.",
        key.display()
    ))?;
    Ok(Exit::Done)
}

fn server(
    ca: &Path,
    names: Vec<String>,
    out: &Path,
    life: (Timestamp, u32),
    page: &mut Page<'_>,
) -> Ended {
    let authority = Authority::open(ca, life.0)?;
    let shown = plain(&names.join(", "));
    let made = authority.sign(Wanted::Server(names), life)?;
    let (certificate, key) = (out.join("server.pem"), out.join("server.key"));
    files::make(out, Folder::Open)?;
    let old_key = put(&key, made.key.as_bytes(), Put::ForDaemon, life.0)?;
    let old = put(
        &certificate,
        made.certificate.as_bytes(),
        Put::Public,
        life.0,
    )?;
    tell_signed(&made, (&certificate, &key), &shown, page)?;
    if page.is_json() {
        return Ok(Exit::Done);
    }
    for kept in [old_key.kept, old.kept].into_iter().flatten() {
        page.line(format!("The one before is kept as {}.", kept.display()))?;
    }
    if !old_key.is_for_daemon {
        page.line(
            "The daemon's group cannot read the key yet: give it to root:sekisho with mode 0640.",
        )?;
    }
    page.line("Where the daemon runs with this certificate already: sekisho reload.")?;
    Ok(Exit::Done)
}

fn client(
    ca: &Path,
    mail: String,
    out: &Path,
    life: (Timestamp, u32),
    page: &mut Page<'_>,
) -> Ended {
    let authority = Authority::open(ca, life.0)?;
    let shown = plain(&mail);
    let made = authority.sign(Wanted::Client(mail), life)?;
    let whole = zeroize::Zeroizing::new(format!(
        "{}{}{}",
        *made.key, made.certificate, authority.pem
    ));
    let old = put(out, whole.as_bytes(), Put::Secret, life.0)?;
    tell_signed(&made, (out, out), &shown, page)?;
    if page.is_json() {
        return Ok(Exit::Done);
    }
    if let Some(kept) = old.kept {
        page.line(format!("The one before is kept as {}.", kept.display()))?;
    }
    let file = out.display();
    page.line(format!(
        "Most devices take it as PKCS #12: openssl pkcs12 -export -in {file} -out {file}.p12. Then remove both from this machine."
    ))?;
    Ok(Exit::Done)
}

fn tell_signed(
    made: &Made,
    (certificate, key): (&Path, &Path),
    whose: &str,
    page: &mut Page<'_>,
) -> Result<(), Failure> {
    let read = made.read()?;
    if page.is_json() {
        page.object(&json!({ "certificate": certificate, "key": key, "made": read }))?;
        return Ok(());
    }
    page.line(format!(
        "Made a certificate for {whose}: {}, until {}.",
        certificate.display(),
        page.moment(read.not_after.millis())
    ))?;
    if made.is_cut {
        page.line("It does not hold as long as asked, because the CA ends then.")?;
    }
    page.line(format!("Its key is {}.", key.display()))?;
    Ok(())
}

/// A file or what the configuration names, and its certificates.
type Shown = (String, Vec<Certificate>);

fn show(files: &[std::path::PathBuf], config: &Path, now: Timestamp, page: &mut Page<'_>) -> Ended {
    let shown = if files.is_empty() {
        let settings = match config::read(config) {
            Ok(settings) => settings,
            Err(faults) => return check::faulty(&faults, page),
        };
        let read = daemon::chains(&settings).into_iter().map(|(used, pem)| {
            let all = Certificate::read_all(pem);
            let all = all.map_err(|why| Failure::new(format!("{used}: {why}.")));
            Ok((used.to_owned(), all?))
        });
        read.collect::<Result<Vec<Shown>, Failure>>()?
    } else {
        let read = files.iter().map(|file| read_file(file));
        read.collect::<Result<Vec<Shown>, Failure>>()?
    };
    let all = || shown.iter().flat_map(|(_, all)| all);
    let is_good = all().all(|one| one.lacks.is_empty() && one.days_left(now) >= 0);
    let exit = if is_good { Exit::Done } else { Exit::Failed };
    if page.is_json() {
        let certificates: Vec<_> = shown
            .iter()
            .flat_map(|(from, all)| all.iter().map(move |one| (from, one)))
            .map(|(from, one)| json!({ "from": from, "days_left": one.days_left(now), "certificate": one }))
            .collect();
        page.object(&json!({ "certificates": certificates }))?;
        return Ok(exit);
    }
    if shown.is_empty() {
        page.line("The configuration names no certificate. Name a file to show.")?;
    }
    for (at, (from, certificates)) in shown.iter().enumerate() {
        if at > 0 {
            page.gap()?;
        }
        page.line(page.strong(&plain(from)))?;
        for certificate in certificates {
            tell(certificate, now, page)?;
        }
    }
    Ok(exit)
}

fn read_file(file: &Path) -> Result<Shown, Failure> {
    use std::io::Read as _;
    let failed = |why: String| Failure::new(format!("{}: {why}.", file.display()));
    let mut octets = Vec::new();
    fs::File::open(file)
        .and_then(|open| open.take(FILE_OCTETS).read_to_end(&mut octets))
        .map_err(|why| failed(why.to_string()))?;
    let all = Certificate::read_all(&octets).map_err(|why| failed(why.to_string()))?;
    Ok((file.display().to_string(), all))
}

fn tell(certificate: &Certificate, now: Timestamp, page: &mut Page<'_>) -> Result<(), Failure> {
    let days = certificate.days_left(now);
    let until = page.moment(certificate.not_after.millis());
    let left = match days {
        ..0 => page.bad(&format!("ended {until}")),
        0..30 => page.fair(&format!("until {until}, {days} days left")),
        30.. => page.good(&format!("until {until}, {days} days left")),
    };
    let kind = match certificate.role {
        Role::Ca => "a CA",
        Role::Server => "a server",
        Role::Client => "a person's device",
    };
    let from = page.moment(certificate.not_before.millis());
    let rows = [
        ("subject", plain(&certificate.subject)),
        ("names", plain(&certificate.names.join(", "))),
        ("for", kind.to_owned()),
        ("issuer", plain(&certificate.issuer)),
        ("holds", format!("{left}, from {from}")),
        ("key", certificate.key.clone()),
        ("SHA-256", certificate.sha256.clone()),
    ];
    for (name, value) in rows {
        if !value.is_empty() {
            let name = page.faint(&padded(name, NAME_COLUMNS));
            page.line(format!("  {name}{value}"))?;
        }
    }
    for lack in &certificate.lacks {
        let word = page.fair("warning");
        page.line(format!("  {word}: {}.", lack.as_str()))?;
    }
    page.gap()?;
    Ok(())
}
