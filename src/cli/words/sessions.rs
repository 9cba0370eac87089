//! What is told of sessions on the network, in both languages.

use super::{en::En, ja::Ja};
use crate::control::{EndOutcome, EndWhy, SessionEnd};

/// The texts of one language.
pub(in crate::cli) trait SessionWords {
    /// Since when a session is open, or until when it was.
    fn session(&self, since: &str, until: Option<&str>) -> String;
    /// Where it is.
    fn session_at(&self, client: &str, nas: &str, station: &str) -> String;
    /// How it ended.
    fn session_end(&self, how: SessionEnd) -> String;
    /// What came in and out of it, and how long it lasted.
    fn session_counted(&self, lasted: &str, octets_in: &str, octets_out: &str) -> String;
    /// When and why its NAS was asked to end it.
    fn end_asked(&self, when: &str, why: EndWhy) -> String;
    /// What came of it.
    fn end_outcome(&self, outcome: EndOutcome) -> String;
    /// Nobody was asked.
    fn nothing_open(&self, user: &str) -> String;
}

impl SessionWords for En {
    fn session(&self, since: &str, until: Option<&str>) -> String {
        until.map_or_else(
            || format!("open since {since}"),
            |until| format!("{since} to {until}"),
        )
    }

    fn session_at(&self, client: &str, nas: &str, station: &str) -> String {
        format!("at {client} ({nas}), from {station}")
    }

    fn session_end(&self, how: SessionEnd) -> String {
        let cause = match how {
            SessionEnd::Stopped(None) => return "ended".to_owned(),
            SessionEnd::Stopped(Some(cause)) => terminate_cause(cause).map_or_else(
                || format!("cause {cause}"),
                |(english, _)| english.to_owned(),
            ),
            SessionEnd::Restarted => "the gear was started anew".to_owned(),
            SessionEnd::Disconnected => "the gear ended it when asked".to_owned(),
            SessionEnd::Silent => "nothing was heard of it for long".to_owned(),
            SessionEnd::Replaced => "the gear gave its number to another".to_owned(),
        };
        format!("ended ({cause})")
    }

    fn session_counted(&self, lasted: &str, octets_in: &str, octets_out: &str) -> String {
        format!("{lasted}, {octets_in} in, {octets_out} out")
    }

    fn end_asked(&self, when: &str, why: EndWhy) -> String {
        let why = match why {
            EndWhy::Reported => "a login was reported",
            EndWhy::Revoked => "the station was revoked",
            EndWhy::Operator => "an operator said so",
        };
        format!("the gear was asked to end it {when}, as {why}")
    }

    fn end_outcome(&self, outcome: EndOutcome) -> String {
        match outcome {
            EndOutcome::Ended => "It is ended.".to_owned(),
            EndOutcome::Refused(None) => "The gear did not end it.".to_owned(),
            EndOutcome::Refused(Some(cause)) => {
                let cause = error_cause(cause).map_or_else(
                    || format!("Error-Cause {cause}"),
                    |(english, _)| format!("{english} [{cause}]"),
                );
                format!("The gear did not end it: {cause}.")
            }
            EndOutcome::Unanswered => {
                "The gear did not answer: it may still be open. Check `disconnect` and its secret, and that the gear takes Disconnect-Requests from here.".to_owned()
            }
            EndOutcome::Unsent => "The gear could not be asked: it may still be open. The log says why.".to_owned(),
            EndOutcome::Off => "The gear is not asked to end sessions (disconnect = false): end it there.".to_owned(),
        }
    }

    fn nothing_open(&self, user: &str) -> String {
        format!("{user} has no open session that is known.")
    }
}

impl SessionWords for Ja {
    fn session(&self, since: &str, until: Option<&str>) -> String {
        until.map_or_else(
            || format!("{since} から接続中"),
            |until| format!("{since} から {until} まで"),
        )
    }

    fn session_at(&self, client: &str, nas: &str, station: &str) -> String {
        format!("機器 {client}({nas})、接続元 {station}")
    }

    fn session_end(&self, how: SessionEnd) -> String {
        let cause = match how {
            SessionEnd::Stopped(None) => return "終了".to_owned(),
            SessionEnd::Stopped(Some(cause)) => terminate_cause(cause).map_or_else(
                || format!("理由 {cause}"),
                |(_, japanese)| japanese.to_owned(),
            ),
            SessionEnd::Restarted => "機器の再起動".to_owned(),
            SessionEnd::Disconnected => "要求により機器が切断".to_owned(),
            SessionEnd::Silent => "長時間通知なし".to_owned(),
            SessionEnd::Replaced => "機器が同じ番号を他の接続に使用".to_owned(),
        };
        format!("終了({cause})")
    }

    fn session_counted(&self, lasted: &str, octets_in: &str, octets_out: &str) -> String {
        format!("{lasted}、受信 {octets_in}、送信 {octets_out}")
    }

    fn end_asked(&self, when: &str, why: EndWhy) -> String {
        let why = match why {
            EndWhy::Reported => "「自分ではない」との報告",
            EndWhy::Revoked => "端末の取り消し",
            EndWhy::Operator => "管理者の操作",
        };
        format!("{when} に機器へ切断を要求({why})")
    }

    fn end_outcome(&self, outcome: EndOutcome) -> String {
        match outcome {
            EndOutcome::Ended => "接続を切断しました。".to_owned(),
            EndOutcome::Refused(None) => "機器は切断しませんでした。".to_owned(),
            EndOutcome::Refused(Some(cause)) => {
                let cause = error_cause(cause).map_or_else(
                    || format!("Error-Cause {cause}"),
                    |(_, japanese)| format!("{japanese} [{cause}]"),
                );
                format!("機器は切断しませんでした: {cause}。")
            }
            EndOutcome::Unanswered => {
                "機器の応答がなく、まだ接続中かもしれません。disconnect の設定と共有シークレット、機器が切断要求を受け付けるかを確認してください。".to_owned()
            }
            EndOutcome::Unsent => "機器に要求を送れず、まだ接続中かもしれません。理由はログにあります。".to_owned(),
            EndOutcome::Off => "この機器には切断を要求しない設定です(disconnect = false)。機器側で切断してください。".to_owned(),
        }
    }

    fn nothing_open(&self, user: &str) -> String {
        format!("{user} の接続中のセッションはありません。")
    }
}

/// Acct-Terminate-Cause (RFC 2866 §5.10, RFC 3580 §3.2).
fn terminate_cause(cause: u32) -> Option<(&'static str, &'static str)> {
    Some(match cause {
        1 => ("the user ended it", "利用者が終了"),
        2 => ("the link was lost", "回線切断"),
        3 => ("the service was lost", "サービス停止"),
        4 => ("it was idle", "無通信"),
        5 => ("its time was over", "制限時間"),
        6 => (
            "an administrator ended it at the gear",
            "機器の管理者が終了",
        ),
        7 => (
            "an administrator restarted the gear",
            "機器の管理者が再起動",
        ),
        8 => ("an error of the port", "ポートの障害"),
        9 => ("an error of the gear", "機器の障害"),
        10 => ("the gear ended it", "機器が終了"),
        11 => ("the gear restarted", "機器の再起動"),
        12..=14 => ("the port was needed or closed", "ポートの都合"),
        15 => ("the service was not available", "サービス利用不可"),
        16 => ("a callback", "コールバック"),
        17 => ("an error of the user's equipment", "利用者側の障害"),
        18 => ("the host ended it", "接続先が終了"),
        19 => ("the equipment began anew", "端末の再接続"),
        20 => ("the login failed when it was proven anew", "再認証の失敗"),
        21 | 22 => (
            "the port was set anew or closed",
            "ポートの再設定または停止",
        ),
        _ => return None,
    })
}

/// Error-Cause (RFC 5176 §3.5).
fn error_cause(cause: u32) -> Option<(&'static str, &'static str)> {
    Some(match cause {
        201 => (
            "what was left of the session is removed",
            "残っていたセッションを削除",
        ),
        401 => ("it does not know an attribute", "未対応の属性"),
        402 => ("it misses an attribute", "属性の不足"),
        403 => ("the request is for another NAS", "NASの識別が不一致"),
        404 => ("it finds the request invalid", "無効な要求"),
        405 => ("it does not know the service", "未対応のサービス"),
        406 => ("it does not know Disconnect-Requests", "切断要求に未対応"),
        407 => ("it finds an attribute's value invalid", "属性値が無効"),
        501 => ("it is set up not to", "機器の設定で禁止"),
        502 => ("its proxy does not know the way", "プロキシの経路なし"),
        503 => ("it does not know the session", "該当するセッションなし"),
        504 => ("it cannot remove the session", "セッションを削除できない"),
        505 => ("its proxy failed", "プロキシの障害"),
        506 => ("it has no resources for it", "リソース不足"),
        507 => ("it wants to be asked otherwise", "別の方法での要求が必要"),
        508 => (
            "it does not end several sessions at once",
            "複数セッションの指定に未対応",
        ),
        _ => return None,
    })
}
