//! English, in ASCII.

use super::Text;
use crate::account::{AttemptId, ClientName, FactorKind, Station};

/// The text; what asks for a code lacks the colon that [`super::reply`] adds.
pub(super) fn reply(text: &Text<'_>) -> String {
    match text {
        Text::Failed => "Authentication failed.".to_owned(),
        Text::AskCode => "Enter one-time password".to_owned(),
        Text::AskRecovery => "Enter a recovery code as one-time password".to_owned(),
        Text::Sent { kind, end } => {
            format!("{}. Enter one-time password", sent(*kind, end))
        }
        Text::SentLogInAgain { kind, end } => format!(
            "{}. Log in again: password, then one-time password.",
            sent(*kind, end)
        ),
        Text::WrongCodeAgain { tries } => {
            format!("Wrong code, {tries} tries left. Enter one-time password")
        }
        Text::UsedCodeAgain => "Code already used. Enter the next one-time password".to_owned(),
        Text::WrongCode => "Wrong code.".to_owned(),
        Text::UsedCode => "Code already used. Try again with the next one.".to_owned(),
        Text::Paused { minutes } => format!("Paused. Try again in {minutes} min."),
        Text::CodeMissing => "Log in with password, then one-time password.".to_owned(),
        Text::NoFactor => "MFA not set up. Ask the help desk.".to_owned(),
        Text::NumberRefused => "Your phone number cannot be used. Ask the help desk.".to_owned(),
        Text::NumberTooNew { hours } => {
            format!("Your phone number is too new. Wait {hours} h or ask the help desk.")
        }
        Text::MessageLimit { minutes } => format!("Message limit. Wait {minutes} min."),
        Text::AskNumber { number } => {
            format!("Type {number} on your phone, approve, then enter OK here.")
        }
        Text::StillWaiting { codes: false } => {
            "Not approved yet. Approve, then enter OK. 0 = cancel.".to_owned()
        }
        Text::StillWaiting { codes: true } => {
            "Not approved yet. Approve, then enter OK, or enter a one-time password. 0 = cancel."
                .to_owned()
        }
        Text::CodeInstead => "Your phone did not answer. Enter one-time password".to_owned(),
        Text::ApproveThenConnect => "Approve on your phone, then connect again.".to_owned(),
        Text::DeniedOnPhone => "Denied on your phone.".to_owned(),
        Text::PromptLimit { minutes } => {
            format!("Too many prompts. Use a code or wait {minutes} min.")
        }
        Text::NumberMissing { delimiter } => format!(
            "Add {delimiter} and 2 digits of your choice to the password, then type them on your phone."
        ),
        Text::Exposed => {
            "Stopped for safety. Change your password or ask the help desk.".to_owned()
        }
        Text::Denied => "This login is not allowed.".to_owned(),
        Text::TimedOut => "Timed out. Please connect again.".to_owned(),
        Text::Trouble { reference } => format!("Service problem (ref {reference})."),
    }
}

fn sent(kind: FactorKind, end: &str) -> String {
    match kind {
        FactorKind::Voice => format!("Calling number ending {end}"),
        FactorKind::Push | FactorKind::Sms | FactorKind::Totp | FactorKind::Recovery => {
            format!("Code sent to number ending {end}")
        }
    }
}

pub(super) fn sms(code: &str, minutes: u64, issuer: &str) -> String {
    format!("{issuer}: code {code} ({minutes} min). Never tell it to anyone, even on the phone.")
}

/// The commas make the voice pause between digits.
pub(super) fn call(code: &str, issuer: &str) -> String {
    let digits: Vec<String> = code.chars().map(String::from).collect();
    let digits = digits.join(", ");
    format!("This is {issuer}. Your code is: {digits}. Again: {digits}. Goodbye.")
}

pub(super) fn report_subject(name: &str) -> String {
    format!("Reported: a login as {name} that was not theirs")
}

pub(super) fn report(
    name: &str,
    (client, station): (&ClientName, &Station),
    id: &AttemptId,
) -> String {
    format!(
        "{name} says that a login to {client} from {station} was not theirs. Whoever tried knows the password.\n\n\
         Stopped: prompts, and logins from outside, until the password changes.\n\
         To do: see that {name} changes the password; look where it came from: sekisho why {id}\n\
         To end it by hand: sekisho user clear-report {name}\n"
    )
}
