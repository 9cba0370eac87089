//! A real authenticator and a real supplicant: hostapd, which guards a wired port, and wpa_supplicant, over a pair of interfaces in
//! network namespaces of this test.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};

use tempfile::TempDir;

use super::campus::{Campus, PASSWORD, PASSWORD_ONLY};
use crate::support::daemon::{SECRET, wait};
use crate::support::ports;

/// Seconds after which the port has its station prove itself anew.
const AGAIN: &str = "5";

fn run(words: &[&str]) {
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {said}");
}

/// Two interfaces that are wired to each other; the station's is in a namespace, whose end is its own, too.
struct Wire {
    namespace: String,
    port: String,
    card: String,
}

impl Wire {
    fn lay() -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(0);
        let serial = NEXT.fetch_add(1, Ordering::Relaxed);
        let number = format!("{}x{serial}", std::process::id());
        let wire = Self {
            namespace: format!("sekisho-{number}"),
            port: format!("skp{number}"),
            card: format!("skc{number}"),
        };
        let (space, port, card) = (&*wire.namespace, &*wire.port, &*wire.card);
        run(&["ip", "netns", "add", space]);
        run(&[
            "ip", "link", "add", port, "type", "veth", "peer", "name", card, "netns", space,
        ]);
        run(&["ip", "link", "set", port, "up"]);
        run(&["ip", "-n", space, "link", "set", card, "up"]);
        wire
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // Its interface goes with it, and the other end with that.
        let _gone = Command::new("ip")
            .args(["netns", "del", &self.namespace])
            .status();
    }
}

/// A program with a log, ended with its value.
struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    fn start(words: &[&str], log: PathBuf) -> Self {
        let file = fs::File::create(&log).unwrap();
        let child = Command::new(words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|why| panic!("{}: {why}", words[0]));
        Self { child, log }
    }

    fn said(&self) -> String {
        let mut text = String::new();
        let mut file = fs::File::open(&self.log).unwrap();
        let _length = file.read_to_string(&mut text);
        text
    }

    fn says(&self, what: &str, times: usize) {
        wait(
            || self.said().matches(what).count() >= times,
            || format!("not {times} times {what:?}:\n{}", self.said()),
        );
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The port, which takes Disconnect-Requests at `das`.
fn hostapd(folder: &Path, wire: &Wire, campus: &Campus, das: u16) -> Program {
    let (radius, accounting) = (campus.daemon.radius.port(), campus.daemon.accounting.port());
    let text = format!(
        "interface={}\ndriver=wired\nlogger_stdout=-1\nlogger_stdout_level=1\nieee8021x=1\neap_reauth_period={AGAIN}\n\
         use_pae_group_addr=0\nnas_identifier=port-7\nown_ip_addr=127.0.0.1\n\
         auth_server_addr=127.0.0.1\nauth_server_port={radius}\nauth_server_shared_secret={SECRET}\n\
         acct_server_addr=127.0.0.1\nacct_server_port={accounting}\nacct_server_shared_secret={SECRET}\n\
         radius_das_port={das}\nradius_das_client=127.0.0.1 {SECRET}\nradius_das_require_event_timestamp=1\n\
         radius_das_require_message_authenticator=1\n",
        wire.port
    );
    let file = folder.join("hostapd.conf");
    fs::write(&file, text).unwrap();
    Program::start(
        &["hostapd", &file.display().to_string()],
        folder.join("hostapd.log"),
    )
}

fn supplicant(folder: &Path, wire: &Wire, campus: &Campus) -> Program {
    let text = format!(
        "ap_scan=0\nfast_reauth=1\nnetwork={{\nkey_mgmt=IEEE8021X\neapol_flags=0\neap=TTLS\nphase2=\"auth=PAP\"\n\
         phase1=\"tls_disable_tlsv1_3=0\"\nidentity=\"taro\"\nanonymous_identity=\"anonymous@example.ac.jp\"\n\
         password=\"{PASSWORD}\"\nca_cert=\"{}\"\n}}\n",
        campus.papers.path("ca.pem").display()
    );
    let file = folder.join("supplicant.conf");
    fs::write(&file, text).unwrap();
    Program::start(
        &[
            "ip",
            "netns",
            "exec",
            &wire.namespace,
            "wpa_supplicant",
            "-D",
            "wired",
            "-i",
            &wire.card,
            "-c",
            &file.display().to_string(),
        ],
        folder.join("supplicant.log"),
    )
}

#[test]
fn a_wired_port_is_opened_and_its_station_proves_itself_anew() {
    let campus = Campus::start(&["taro"], PASSWORD_ONLY);
    campus.slapd.set_policy(&[]);
    campus.slapd.change_password("taro", PASSWORD);
    let (folder, wire) = (TempDir::new().unwrap(), Wire::lay());
    let port = hostapd(folder.path(), &wire, &campus, ports::free());
    port.says("AP-ENABLED", 1);
    let station = supplicant(folder.path(), &wire, &campus);
    station.says("CTRL-EVENT-EAP-SUCCESS", 1);
    port.says("authenticated - EAP type: 21 (TTLS)", 1);
    // Twice more, by itself: first it resumes its session.
    let logins = || {
        campus
            .daemon
            .log()
            .matches("Login OK: [campus/taro]")
            .count()
    };
    wait(
        || logins() >= 3,
        || {
            format!(
                "{}\n{}\n{}",
                campus.daemon.log(),
                station.said(),
                port.said()
            )
        },
    );
    campus.daemon.wait_log("resumes the login");
    // What it used is accounted for.
    campus
        .daemon
        .wait_log("Accounting start: [anonymous@example.ac.jp]");
}

#[test]
fn an_operator_ends_the_session_at_a_wired_port() {
    let das = ports::free();
    let disconnect = format!("disconnect = \"127.0.0.1:{das}\"");
    let campus = Campus::start_with(&["taro"], &disconnect, PASSWORD_ONLY);
    let (folder, wire) = (TempDir::new().unwrap(), Wire::lay());
    let port = hostapd(folder.path(), &wire, &campus, das);
    port.says("AP-ENABLED", 1);
    let station = supplicant(folder.path(), &wire, &campus);
    station.says("CTRL-EVENT-EAP-SUCCESS", 1);
    let shown = || campus.daemon.cli_ok(&["user", "show", "taro"]);
    wait(
        || shown().contains("open since"),
        || format!("{}\n{}\n{}", shown(), port.said(), campus.daemon.log()),
    );
    assert!(shown().contains("at wifi (127.0.0.1)"), "{}", shown());
    let ended = campus.daemon.cli_ok(&["user", "disconnect", "taro"]);
    assert!(ended.contains("It is ended."), "{ended}");
    campus
        .daemon
        .wait_log("Accounting stop: [anonymous@example.ac.jp]");
    // hostapd accounts for the end before it answers.
    let told = "as an operator said so: It is ended.";
    assert!(shown().contains(told), "{}", shown());
}
