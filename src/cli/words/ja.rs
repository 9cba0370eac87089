//! Japanese.

use super::{Explained, Label, StoreFacts, Words};
use crate::control::{Cause, Deed, FactorKind, Outcome, Reason};

/// Before the gateway that a code was sent by, in a decision's note.
const SENT_BY: &str = "sent by ";

pub(super) struct Ja;

impl Words for Ja {
    fn label(&self, label: Label) -> &'static str {
        match label {
            Label::Account => "アカウント",
            Label::Barred => "使用不可",
            Label::Phones => "電話番号",
            Label::Groups => "グループ",
            Label::Codes => "コード",
            Label::Report => "報告",
            Label::Factors => "認証手段",
            Label::Sessions => "接続",
            Label::Remembered => "記憶した端末",
            Label::ListensAt => "待受",
            Label::Clients => "機器",
            Label::Directories => "ディレクトリ",
            Label::Store => "データベース",
            Label::Certificates => "証明書",
        }
    }

    fn none(&self) -> &'static str {
        "なし"
    }

    fn groups(&self, count: usize) -> String {
        format!("{count}件")
    }

    fn locked_until(&self, when: &str) -> String {
        format!("{when} まで停止中")
    }

    fn form(&self, kind: FactorKind, digits: u8) -> String {
        let name = self.factor(kind);
        match kind {
            FactorKind::Push => name.to_owned(),
            FactorKind::Recovery => format!("{name}、残り{digits}個"),
            FactorKind::Totp | FactorKind::Sms | FactorKind::Voice => format!("{name}、{digits}桁"),
        }
    }

    fn unproven(&self) -> &'static str {
        "、未確認"
    }

    fn enrolled(&self, when: &str) -> String {
        format!("登録 {when}")
    }

    fn used(&self, when: Option<&str>) -> String {
        when.map_or_else(|| "未使用".to_owned(), |when| format!("使用 {when}"))
    }

    fn silent(&self, when: &str) -> String {
        format!("{when} から届きません")
    }

    fn remembered(&self, client: &str, since: &str, until: &str) -> String {
        format!("機器 {client} で {since} から {until} まで")
    }

    fn reported(&self, when: &str) -> String {
        format!("「自分ではない」と {when} に報告(パスワードが変わるまで学外からログイン不可)")
    }

    fn ready(&self, version: &str, ready: &str) -> String {
        format!("Sekisho {version}: {ready}。")
    }

    fn readiness(&self) -> (&'static str, &'static str) {
        ("稼働中です", "ログインを判定できません")
    }

    fn server(&self) -> (&'static str, &'static str) {
        ("応答あり", "応答なし")
    }

    fn before(&self, error: &str) -> String {
        format!("以前: {error}")
    }

    fn writable(&self) -> &'static str {
        "書き込み可能"
    }

    fn not_writable(&self, error: Option<&str>) -> String {
        error.map_or_else(
            || "書き込み不可".to_owned(),
            |error| format!("書き込み不可: {error}"),
        )
    }

    fn certificate_ends(&self, days: i64, when: &str) -> String {
        match days {
            ..0 => format!("期限切れ({when})"),
            0 => format!("1日以内に期限切れ({when})"),
            _ => format!("あと{days}日({when} まで)"),
        }
    }

    fn store(&self, facts: &StoreFacts) -> String {
        format!(
            "登録者{}人、監査記録{}件、{}、スキーマ {}",
            facts.accounts, facts.audit_rows, facts.size, facts.schema
        )
    }

    fn nobody_listens(&self, socket: &str, why: &str) -> String {
        format!(
            "{socket} で待ち受けている Sekisho がありません({why})。`sekisho serve` またはサービスとして起動するか、--socket で場所を指定してください。"
        )
    }

    fn not_allowed(&self, socket: &str, group: &str) -> String {
        format!("{socket} を使えるのは root とグループ {group} だけです。")
    }

    fn cause(&self, cause: &Cause, why: &str) -> String {
        match cause {
            Cause::BadName => "この名前は利用者の名前として使えません。余計な文字がないか確認してください。".to_owned(),
            Cause::UnknownRealm => "名前の @ より後ろ(または \\ より前)が設定にありません。名前だけを入力するか、設定にレルムまたはドメインを追加してください。".to_owned(),
            Cause::Nobody { user } => format!("{user} という利用者はディレクトリにいません。"),
            Cause::Several { user } => format!("{user} という利用者がディレクトリに複数います。"),
            Cause::DirectoryUnavailable => {
                format!("ディレクトリに問い合わせできませんでした。({why})")
            }
            Cause::Store => format!("データベースを読み書きできませんでした。({why})"),
        }
    }

    fn deed(&self, deed: Deed) -> Option<&'static str> {
        Some(match deed {
            Deed::EnrolProven => "{1} の認証アプリ({0})をコードで確認して登録",
            Deed::EnrolUnproven => "{1} の認証アプリ({0})を確認なしで登録",
            Deed::RecoveryCodes => "{0} のリカバリーコードを新しく作成",
            Deed::Unlock => "{0} のコードの停止を解除",
            Deed::ClearReport => "{0} の報告を解除",
            Deed::Disconnect => "{0} の接続をすべて切断",
            Deed::Forget => "{0} の記憶した端末をすべて取り消し",
            Deed::ForgetStation => "{1} の記憶した端末 {0} を取り消し",
            Deed::Reset => "{0} の認証手段をすべて削除",
            Deed::Remove => "{2} の認証手段 {0}({1})を削除",
            Deed::Borrow => "機器 {0} として試験ログイン",
            Deed::Reload => "設定を再読み込み",
            Deed::Backup => "データベースを {0} にコピー",
            Deed::RotateKey => "マスターキーを更新",
            Deed::Knock => "操作用ソケットで拒否",
        })
    }

    fn tried(&self, act: &str, why: &str) -> String {
        format!("{act}しようとして失敗: {why}")
    }

    fn note(&self, note: &str) -> String {
        match (note, note.strip_prefix(SENT_BY)) {
            ("the code was used before", _) => "コードは使用済みでした。".to_owned(),
            (_, Some(gateway)) => format!("{gateway} で送りました。"),
            (note, None) => note.to_owned(),
        }
    }

    fn counted_in(&self, attempt: &str, when: &str, known: bool) -> String {
        let kept = "パスワード確認前の拒否は1件ずつではなく1分ごとにまとめて記録されます";
        match known {
            true => format!("{attempt} は {when} に始まりました。{kept}。次の中に含まれています。"),
            false => format!(
                "{attempt} は {when} に始まりました。{kept}が、その時刻の記録は(もう)ありません。"
            ),
        }
    }

    fn scan(&self) -> &'static str {
        "認証アプリで読み取るか、次のアドレスをアプリに入力してください:"
    }

    fn code(&self) -> &'static str {
        "アプリに表示された確認コード: "
    }

    fn code_wrong(&self, left: u8) -> String {
        format!("確認コードが違います。次のコードを待って入力してください(残り{left}回)。")
    }

    fn recovery(&self) -> &'static str {
        "確認コードの代わりに、それぞれ1回だけ使えます。今すぐ印刷してください。再表示はできず、以前のものは使えなくなりました。"
    }

    fn factor(&self, kind: FactorKind) -> &'static str {
        match kind {
            FactorKind::Push => "端末での承認",
            FactorKind::Totp => "認証アプリ",
            FactorKind::Sms => "SMS",
            FactorKind::Voice => "音声通話",
            FactorKind::Recovery => "リカバリーコード",
        }
    }

    fn noted(&self) -> &'static str {
        "記録"
    }

    fn outcome(&self, outcome: Outcome) -> &'static str {
        match outcome {
            Outcome::Accept => "許可",
            Outcome::Reject => "拒否",
            Outcome::Challenge => "質問",
            Outcome::Waiting => "待機",
            Outcome::Undecided => "応答なし",
        }
    }

    #[expect(clippy::too_many_lines, reason = "one entry a reason, nothing else")]
    fn reason(&self, reason: Reason) -> Explained {
        match reason {
            Reason::Proven => {
                Explained::new("パスワードと第2の認証はどちらも正しいものでした。", "")
            }
            Reason::PasswordEnough => Explained::new(
                "パスワードは正しく、規則によりここではパスワードだけで足ります。",
                "",
            ),
            Reason::StationRemembered => Explained::new(
                "パスワードは正しく、この端末では以前に第2の認証が済んでいます。",
                "",
            ),
            Reason::Certificate => Explained::new(
                "クライアント証明書が正しいものでした。証明書が第2の認証にあたり、パスワードは求めていません。",
                "",
            ),
            Reason::Resumed => Explained::new(
                "以前のログインのセッションを再開しました。アカウント、規則、パスワードは当時のままです。",
                "",
            ),
            Reason::Repeated => Explained::new(
                "同じ要求がもう一度届いたため、直前の判定を再び返しました。",
                "",
            ),
            Reason::CodeAsked => {
                Explained::new("パスワードは正しく、確認コードの入力を求めました。", "")
            }
            Reason::CodeSent => Explained::new("パスワードは正しく、確認コードを送りました。", ""),
            Reason::CodeAskedAgain => Explained::new(
                "確認コードが違うか使用済みのため、もう一度入力を求めました。",
                "",
            ),
            Reason::PushAsked => Explained::new("パスワードは正しく、端末に承認を求めました。", ""),
            Reason::PushStillOpen => Explained::new(
                "機器が応答を必要とした時点でまだ承認されておらず、もう一度の応答を求めました。",
                "",
            ),
            Reason::PushApproved => Explained::new("端末で承認されました。", ""),
            Reason::PushRefused => Explained::new(
                "端末からの送信は受け付けられませんでした。",
                "注記を確認してください。端末の複製なら、削除して登録し直してください。",
            ),
            Reason::PushNumberWrong => Explained::new(
                "端末に入力された数字が、このログインの数字と違います。",
                "このログインの画面の数字、またはパスワードに付けた数字を入力してください。",
            ),
            Reason::ProvenLate => Explained::new(
                "機器があきらめた後に承認され、その後の同じログインに使われました。",
                "",
            ),
            Reason::PushDenied => Explained::new(
                "端末で拒否されました。",
                "間違いなら、もう一度ログインしてください。",
            ),
            Reason::PushReported => Explained::new(
                "本人から「自分ではない」と報告がありました。",
                "ディレクトリのパスワードを変更し、ログイン元を調べてください。",
            ),
            Reason::MethodAdded => Explained::new(
                "本人がポータルで方法を追加しました。",
                "本人でなければ、その方法を削除し、パスワードを変更してもらってください。",
            ),
            Reason::MethodRemoved => Explained::new(
                "本人がポータルで方法を削除しました。",
                "本人でなければ、パスワードを変更してもらってください。",
            ),
            Reason::StationForgotten => {
                Explained::new("本人がポータルで記憶した端末を取り消しました。", "")
            }
            Reason::RecoveryCodesMade => Explained::new(
                "本人がポータルで回復コードを作り直しました。",
                "本人でなければ、作り直して、パスワードを変更してもらってください。",
            ),
            Reason::PushUnanswered => Explained::new(
                "機器が待つ時間のうちに承認がありませんでした。",
                "スマホでページを開いてからやり直し、機器の待ち時間が足りるか確認してください。",
            ),
            Reason::PromptLimit => Explained::new(
                "ログインのないまま確認が続いたため、新しい確認は送りませんでした。",
                "確認コードでログインするか、しばらく待ってください。覚えがなければ報告してください。",
            ),
            Reason::NumberMissing => Explained::new(
                "端末に入力する数字が、パスワードの後にありません。",
                "パスワードの後に区切り文字と好きな数字2桁を付け、その数字を端末に入力してください。",
            ),
            Reason::Exposed => Explained::new(
                "本人から「自分ではない」と報告があり、その後パスワードが変更されていません。",
                "ディレクトリのパスワードを変更するか、sekisho user clear-report USER で解除してください。",
            ),
            Reason::BadName => Explained::new(
                "入力されたユーザー名は名前として使えません。",
                "ユーザー名に余計な文字がないか確認してください。",
            ),
            Reason::UnknownRealm => Explained::new(
                "ユーザー名の @ より後ろ(または \\ より前)が設定にありません。",
                "ユーザー名だけを入力するか、設定にレルムを追加してください。",
            ),
            Reason::BadRequest => Explained::new(
                "要求に必要な項目がないか、重複しています。",
                "送信元の機器の設定を確認してください。",
            ),
            Reason::EmptyPassword => Explained::new(
                "パスワードが入力されていません。",
                "パスワードを入力してください。",
            ),
            Reason::UnreadablePassword => Explained::new(
                "パスワードを読み取れませんでした。",
                "機器側と設定側の共有シークレットが違うと思われます。両方を確認してください。",
            ),
            Reason::UnsupportedMethod => Explained::new(
                "機器がここで使えない認証方式(CHAP、MS-CHAP、EAP)を使いました。",
                "機器の認証方式を PAP にしてください。",
            ),
            Reason::EapFailed => Explained::new(
                "端末とのEAP(TLS)のやり取りが途中で失敗しました。",
                "注記を確認してください。証明書を信頼していない端末には、正しい接続設定を入れ直してもらってください。",
            ),
            Reason::NoNtHash => Explained::new(
                "MSCHAPv2 が使われましたが、確かめるための NT ハッシュがディレクトリにありません。",
                "EAP-TTLS/PAP か PEAP/GTC を使うか、ディレクトリの nt-hash を設定してサービスアカウントに読ませ、パスワードを一度変更してください。",
            ),
            Reason::SessionEnded => Explained::new(
                "以前のログインのセッションを再開しようとしましたが、その後に変わったことがあります。",
                "何もする必要はありません。端末がログインし直します。変わったことは備考にあります。",
            ),
            Reason::HealthCheck => Explained::new(
                "機器の動作確認です。利用者のログインではありません。",
                "対応は不要です。拒否の応答で動作を確認できます。",
            ),
            Reason::UnknownUser => Explained::new(
                "この名前の利用者はディレクトリにいません。",
                "綴りと、アカウントがあるかを確認してください。",
            ),
            Reason::AmbiguousUser => Explained::new(
                "この名前の利用者がディレクトリに複数います。",
                "設定の user-filter が1件だけに一致するようにしてください。",
            ),
            Reason::WrongPassword => Explained::new(
                "パスワードが違います。",
                "ほかのサービスで同じパスワードを試し、だめなら再設定してください。",
            ),
            Reason::Throttled => Explained::new(
                "パスワードの間違いが続いたため、ディレクトリに問い合わせませんでした。",
                "端末に保存された古いパスワードを消し、数分待ってからやり直してください。",
            ),
            Reason::Locked => Explained::new(
                "アカウントはディレクトリでロックされています。",
                "ディレクトリで解除するか、ロックの終了を待ってください。",
            ),
            Reason::Disabled => Explained::new(
                "アカウントはディレクトリで無効になっています。",
                "理由を確かめてから有効にしてください。",
            ),
            Reason::AccountExpired => Explained::new(
                "アカウントの有効期限が切れています。",
                "在籍を確かめ、ディレクトリで期限を延ばしてください。",
            ),
            Reason::PasswordExpired => Explained::new(
                "パスワードの有効期限が切れています。",
                "パスワードを変更してからログインしてください。",
            ),
            Reason::MustChange => Explained::new(
                "パスワードの変更が必要です。",
                "パスワードを変更してからログインしてください。",
            ),
            Reason::NotNow => Explained::new(
                "ディレクトリがこの時刻またはこの場所からのログインを許していません。",
                "アカウントのログイン時間と端末の制限を確認してください。",
            ),
            Reason::Denied => Explained::new(
                "規則によりこのログインは認められません。",
                "`sekisho explain` で該当する規則を確認できます。",
            ),
            Reason::WrongCode => Explained::new(
                "確認コードが違います。",
                "スマホの時計が自動設定か、アプリの別の項目のコードでないかを確認してください。",
            ),
            Reason::CodeUsed => Explained::new(
                "確認コードは正しいものですが、すでに使われています。",
                "コードは1回だけ有効です。次のコードを待ってください。",
            ),
            Reason::CodesLocked => Explained::new(
                "確認コードの間違いが続いたため、コードの入力が止められています。",
                "解除を待つか、本人確認のうえ `sekisho user unlock` を使ってください。",
            ),
            Reason::CodeMissing => Explained::new(
                "パスワードは正しいものですが、確認コードがなく、この機器では入力を求められません。",
                "パスワードのすぐ後ろに確認コードを続けて入力してください。",
            ),
            Reason::CannotAsk => Explained::new(
                "パスワードは正しいものですが、MSCHAPv2 では確認コードを入力できず、確認できる端末もありませんでした。",
                "端末を登録してクライアントに push = [\"approve\"] を許すか、EAP-TTLS/PAP か PEAP/GTC を使ってください。",
            ),
            Reason::NoFactor => Explained::new(
                "パスワードは正しいものですが、多要素認証が未登録で、送信先の電話番号もありません。",
                "`sekisho user enrol-totp` でアプリを登録するか、ディレクトリに携帯番号を入れてください。",
            ),
            Reason::NumberTooNew => Explained::new(
                "電話番号が最近変わったばかりのため、まだ使えません。",
                "しばらく待つか、本人確認のうえアプリまたはリカバリーコードを登録してください。",
            ),
            Reason::NumberRefused => Explained::new(
                "ディレクトリの電話番号は送信できる番号ではありません。",
                "ディレクトリの番号を直すか、その国を許可してください。",
            ),
            Reason::MessageLimit => Explained::new(
                "メッセージの送信数が上限に達しました。",
                "しばらく待つか、アプリまたはリカバリーコードを使ってください。",
            ),
            Reason::GatewayFailed => Explained::new(
                "メッセージを送れる経路がありませんでした。",
                "`sekisho check --probe` で経路を確認してください。その間はアプリかリカバリーコードが使えます。",
            ),
            Reason::UnknownChallenge => Explained::new(
                "すでに閉じた質問への回答でした。",
                "最初からログインし直してください。",
            ),
            Reason::DirectoryUnavailable => Explained::new(
                "ディレクトリに問い合わせできませんでした。",
                "`sekisho status` でサーバーの状態を確認してください。",
            ),
            Reason::StoreUnavailable => Explained::new(
                "データベースを読み書きできませんでした。",
                "`sekisho status` で状態を、またディスクの空きを確認してください。",
            ),
            Reason::DeadlinePassed => Explained::new(
                "機器が待つ時間内に終わりませんでした。",
                "`sekisho status` で遅いサーバーや止まったサーバーがないか確認してください。",
            ),
        }
    }

    fn way(&self, client: &str, nas: &str, station: &str, zone: Option<&str>) -> String {
        let zone = zone.map_or_else(|| "学外".to_owned(), |zone| format!("ゾーン {zone}"));
        format!("経路: {client}({nas})、接続元 {station}、{zone}。")
    }

    fn unknown_station(&self) -> &'static str {
        "不明"
    }

    fn rule(&self, rule: &str) -> String {
        let rule = rule_in_japanese(rule).unwrap_or_else(|| rule.to_owned());
        format!("規則: {rule}。")
    }

    fn took(&self, total: &str, directory: Option<&str>) -> String {
        directory.map_or_else(
            || format!("所要時間 {total}。"),
            |directory| format!("所要時間 {total}(うちディレクトリ {directory})。"),
        )
    }

    fn failures(&self, count: u64) -> String {
        format!("1分間に{count}回")
    }

    fn typed(&self, names: &str) -> String {
        format!("名前: {names}。")
    }

    fn stations(&self, stations: &str) -> String {
        format!("接続元: {stations}。")
    }

    fn operator(&self, who: &str, what: &str) -> String {
        format!("操作者 {who}: {what}")
    }

    fn no_story(&self, about: Option<&str>) -> String {
        about.map_or_else(
            || "まだ誰もログインしていません。".to_owned(),
            |about| format!("{about} の記録はありません。ログインしたはずなら、機器と、機器が送った名前を確認してください。存在しない名前が大量に届いたときは、その一部だけが残ります。"),
        )
    }
}

/// A rule as decisions name it: `rule 2 (everybody): ask before its date`.
fn rule_in_japanese(rule: &str) -> Option<String> {
    match rule {
        "no rule matched: ask" => return Some("該当なし(コードを求める)".to_owned()),
        "always-ask group" => return Some("常にコードを求めるグループ".to_owned()),
        _ => {}
    }
    let (number, rest) = rule.strip_prefix("rule ")?.split_once(" (")?;
    let (conditions, then) = rest.rsplit_once("): ")?;
    let (then, date) = match then.strip_suffix(" before its date") {
        Some(then) => (then, "、施行日前"),
        None => (then, ""),
    };
    let then = match then {
        "ask" => "コードを求める",
        "password-only" => "パスワードのみ",
        "deny" => "拒否",
        _ => return None,
    };
    let conditions = match conditions {
        "everybody" => "全員",
        conditions => conditions,
    };
    Some(format!("{number}番({conditions}){then}{date}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_told_in_japanese() {
        for (rule, told) in [
            ("rule 2 (everybody): ask", "規則: 2番(全員)コードを求める。"),
            (
                "rule 1 (zone campus, client vpn): password-only before its date",
                "規則: 1番(zone campus, client vpn)パスワードのみ、施行日前。",
            ),
            ("no rule matched: ask", "規則: 該当なし(コードを求める)。"),
            ("something else", "規則: something else。"),
        ] {
            assert_eq!(Ja.rule(rule), told);
        }
    }
}
