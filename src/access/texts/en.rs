//! English, in ASCII.

use super::Text;
use crate::account::FactorKind;

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
        Text::Denied => "This login is not allowed.".to_owned(),
        Text::TimedOut => "Timed out. Please connect again.".to_owned(),
        Text::Trouble { reference } => format!("Service problem (ref {reference})."),
    }
}

fn sent(kind: FactorKind, end: &str) -> String {
    match kind {
        FactorKind::Voice => format!("Calling number ending {end}"),
        FactorKind::Sms | FactorKind::Totp | FactorKind::Recovery => {
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
