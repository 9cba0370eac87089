//! `user enrol-totp`: a QR code, and the code that proves it was scanned.

use serde_json::json;

use super::args::{EnrolTotp, Hash};
use super::terminal::Page;
use super::terminal::{ask, qr};
use super::{DaemonAt, Ended, Exit, Failure, astray, put, words};
use crate::control::{self, Algorithm, Answer, Ask, Caller, Demanded};
use crate::secret::Secret;

pub(super) async fn totp(wanted: EnrolTotp, daemon: &DaemonAt, page: &mut Page<'_>) -> Ended {
    let seed = match &wanted.secret_file {
        Some(file) => Some(ask::first_line(file)?),
        None => None,
    };
    let own_seed = seed.is_some();
    let mut caller = daemon.call().await?;
    let begun = Ask::EnrolTotp(control::EnrolTotp {
        user: wanted.user.clone(),
        label: wanted.label.clone(),
        seed,
        algorithm: match wanted.algorithm {
            Hash::Sha1 => Algorithm::Sha1,
            Hash::Sha256 => Algorithm::Sha256,
            Hash::Sha512 => Algorithm::Sha512,
        },
        digits: wanted.digits,
        proof: if wanted.unproven {
            Demanded::Nothing
        } else {
            Demanded::Code
        },
        language: page.language(),
    });
    let Answer::Seed { uri, factor } = put(&mut caller, begun, page.language()).await? else {
        return Err(astray());
    };
    // Whoever brought the secret has it in a token already: it is not shown again.
    // A program that must type a code has to see the address before; otherwise there is one object.
    let waits = factor.is_none() && wanted.code.is_none();
    if !own_seed && (waits || !page.is_json()) {
        show(&uri, page)?;
    }
    let factor = match factor {
        Some(factor) => factor,
        None => prove(&wanted, &mut caller, page).await?,
    };
    if page.is_json() {
        let mut object = json!({ "user": wanted.user, "label": wanted.label, "factor": factor, "proven": !wanted.unproven });
        if let (false, false, Some(fields)) = (own_seed, waits, object.as_object_mut()) {
            fields.insert(
                "uri".to_owned(),
                uri.expose_str().unwrap_or_default().into(),
            );
        }
        page.object(&object)?;
    } else {
        let how = if wanted.unproven {
            " No code has proven it."
        } else {
            ""
        };
        let (user, label) = (&wanted.user, &wanted.label);
        page.line(format!(
            "{} {user} can log in with “{label}”, factor {factor}.{how}",
            page.good("Enrolled.")
        ))?;
    }
    Ok(Exit::Done)
}

fn show(uri: &Secret, page: &mut Page<'_>) -> Result<(), Failure> {
    let text = uri.expose_str().unwrap_or_default();
    if page.is_json() {
        return Ok(page.object(&json!({ "uri": text }))?);
    }
    if let Some(modules) = qr::modules(uri.expose()) {
        page.gap()?;
        for line in qr::lines(&modules, page.colours()) {
            page.picture(&line)?;
        }
        page.gap()?;
    }
    page.line(words::of(page.language()).scan())?;
    page.line(text)?;
    Ok(page.gap()?)
}

async fn prove(
    wanted: &EnrolTotp,
    caller: &mut Caller,
    page: &mut Page<'_>,
) -> Result<i64, Failure> {
    let mut given = wanted.code.as_deref().map(Secret::from);
    loop {
        let code = match given.take() {
            Some(code) => code,
            None => ask::answer(page, words::of(page.language()).code())?,
        };
        match put(caller, Ask::Prove { code }, page.language()).await? {
            Answer::Enrolled { factor } => return Ok(factor),
            Answer::WrongCode { left: 0 } => {
                return Err(Failure::new(
                    "None of the codes was right, and nothing was enrolled. Does the phone's clock agree with this one?",
                ));
            }
            Answer::WrongCode { .. } if wanted.code.is_some() => {
                return Err(Failure::new(
                    "The code is not right, and nothing was enrolled.",
                ));
            }
            Answer::WrongCode { left } => {
                if !page.is_json() {
                    page.line(words::of(page.language()).code_wrong(left))?;
                }
            }
            _ => return Err(astray()),
        }
    }
}
