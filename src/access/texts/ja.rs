//! Japanese.

use super::Text;
use crate::account::{AttemptId, ClientName, FactorKind, Station};

pub(super) fn reply(text: &Text<'_>) -> String {
    match text {
        Text::Failed => "認証できませんでした".to_owned(),
        Text::AskCode => "確認コードを入力".to_owned(),
        Text::AskRecovery => "回復コードを入力".to_owned(),
        Text::Sent { kind, end } => format!("{}。確認コードを入力", sent(*kind, end)),
        Text::SentLogInAgain { kind, end } => format!(
            "{}。パスワードに続けて確認コードを入力し、もう一度ログインしてください",
            sent(*kind, end)
        ),
        Text::WrongCodeAgain { tries } => {
            format!("コードが違います(残り{tries}回)。新しいコードを入力")
        }
        Text::UsedCodeAgain => "使用済みのコードです。次のコードを入力".to_owned(),
        Text::WrongCode => "コードが違います".to_owned(),
        Text::UsedCode => "使用済みのコードです。次のコードでもう一度".to_owned(),
        Text::Paused { minutes } => format!("一時停止中です。{minutes}分後にもう一度"),
        Text::CodeMissing => "パスワードに続けて確認コードを入力してください".to_owned(),
        Text::NoFactor => "多要素認証が未設定です。窓口へご連絡ください".to_owned(),
        Text::NumberRefused => "登録された電話番号は使えません。窓口へご連絡ください".to_owned(),
        Text::NumberTooNew { hours } => {
            format!("電話番号が変わったばかりです。約{hours}時間後にもう一度、または窓口へ")
        }
        Text::MessageLimit { minutes } => {
            format!("送信の上限です。{minutes}分後にもう一度")
        }
        Text::AskNumber { number } => {
            format!("スマホに数字 {number} を入力して承認。済んだら OK と入力")
        }
        Text::StillWaiting { codes: false } => {
            "まだ承認されていません。承認後に OK、やめるときは 0".to_owned()
        }
        Text::StillWaiting { codes: true } => {
            "まだ承認されていません。承認後に OK、または確認コードを入力。やめるときは 0".to_owned()
        }
        Text::CodeInstead => "スマホから応答がありません。確認コードを入力".to_owned(),
        Text::ApproveThenConnect => "スマホで承認してから、もう一度接続してください".to_owned(),
        Text::DeniedOnPhone => "スマホで拒否されました".to_owned(),
        Text::PromptLimit { minutes } => {
            format!("確認の回数が多すぎます。確認コードを使うか{minutes}分後に")
        }
        Text::NumberMissing { delimiter } => format!(
            "パスワードの後に「{delimiter}」と好きな数字2桁を付けて接続し、その数字をスマホに入力"
        ),
        Text::Exposed => "安全のため停止中です。パスワードを変更するか窓口へ".to_owned(),
        Text::Denied => "このログインは許可されていません".to_owned(),
        Text::TimedOut => "時間切れです。もう一度接続してください".to_owned(),
        Text::Trouble { reference } => format!("認証サービスの障害です(番号 {reference})"),
    }
}

fn sent(kind: FactorKind, end: &str) -> String {
    match kind {
        FactorKind::Voice => format!("末尾{end}の番号へ電話します"),
        FactorKind::Push | FactorKind::Sms | FactorKind::Totp | FactorKind::Recovery => {
            format!("SMSを末尾{end}の番号へ送信")
        }
    }
}

pub(super) fn sms(code: &str, minutes: u64, issuer: &str) -> String {
    format!("【{issuer}】確認コード {code}({minutes}分間)。電話で聞かれても教えないでください。")
}

/// The commas make the voice pause between digits.
pub(super) fn call(code: &str, issuer: &str) -> String {
    let digits: Vec<String> = code.chars().map(String::from).collect();
    let digits = digits.join("、 ");
    format!("{issuer}です。確認コードは、 {digits}。 繰り返します。 {digits}。 以上です。")
}

pub(super) fn report_subject(name: &str) -> String {
    format!("報告: {name} の身に覚えのないログイン")
}

pub(super) fn report(
    name: &str,
    (client, station): (&ClientName, &Station),
    id: &AttemptId,
) -> String {
    format!(
        "{name} から、{client} へのログイン(端末 {station})は自分ではないと報告がありました。相手はパスワードを知っています。\n\n\
         停止したもの: 端末への確認と、学外からのログイン(パスワードが変更されるまで)。\n\
         対応: 本人にパスワードを変更してもらい、ログイン元を調べてください: sekisho why {id}\n\
         手動で解除するとき: sekisho user clear-report {name}\n"
    )
}
