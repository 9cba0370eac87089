//! The processes of the bench: slapd, and the daemon, with everybody enrolled.

use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use data_encoding::BASE64;
use sekisho::account::{
    AccountId, AccountKey, AttemptId, ClientName, Decision, Durations, Language, Outcome, Reason,
    Station,
};
use sekisho::clock::Clock;
use sekisho::config;
use sekisho::factor::{DeviceKey, Response, Signer, Totp};
use sekisho::secret::Secret;
use sekisho::store::{
    ChallengeFacts, Crossing, DecidedBy, Lasting, NewDevice, NewPrompt, Paired, Prompt,
    PromptDecided, PromptOpened, Proof, Store, master_key,
};
use sekisho::wire::Query;

/// The secret of all clients.
pub(crate) const SECRET: &str = "a shared secret for the bench";
/// Clients that wait.
pub(crate) const CLIENTS: usize = 4;
/// People who log in with a code meanwhile.
const OTHERS: usize = 20_000;
/// How long a process may take to answer after its start.
const START: Duration = Duration::from_secs(60);

/// A child that ends with its value.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

pub(crate) struct World {
    pub(crate) radius: SocketAddr,
    pub(crate) portal: SocketAddr,
    pub(crate) people: usize,
    /// The number of each one's device.
    pub(crate) devices: Vec<i64>,
    /// The key of all devices.
    pub(crate) signer: Signer,
    /// Names and codes of those who log in meanwhile.
    pub(crate) others: Vec<(String, Totp)>,
    daemon: Process,
    _slapd: Process,
}

impl World {
    pub(crate) fn start(folder: &Path, people: usize) -> Self {
        let (slapd, url) = start_slapd(folder, people + OTHERS);
        let home = folder.join("sekisho");
        fs::create_dir_all(home.join("state")).unwrap();
        let (radius, portal) = (free_udp(), free_tcp());
        let file = home.join("sekisho.toml");
        let text = configuration(&home, &url, (radius, portal));
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let signer = Signer::new(&Signer::generate()).unwrap();
        let others: Vec<(String, Totp)> = (0..OTHERS)
            .map(|number| (format!("s{:07}", people + number), Totp::random()))
            .collect();
        let devices = enrol(&file, (people, &signer), &others);
        let log = fs::File::create(home.join("log")).unwrap();
        let daemon = Command::new(env!("CARGO_BIN_EXE_sekisho"))
            .args(["serve", "--config"])
            .arg(&file)
            .stderr(log)
            .spawn()
            .unwrap();
        let daemon = Process(daemon);
        wait(|| answers(radius), "sekisho");
        Self {
            radius,
            portal,
            people,
            devices,
            signer,
            others,
            daemon,
            _slapd: slapd,
        }
    }

    pub(crate) fn name(&self, number: usize) -> String {
        format!("s{number:07}")
    }

    pub(crate) fn password(&self, number: usize) -> String {
        format!("Pass-{number}-")
    }

    /// User and system time of the daemon so far.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.daemon.0.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }

    /// What the daemon has resident, in KiB.
    pub(crate) fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.daemon.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.unwrap()
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .unwrap()
    }
}

/// Where a person is.
pub(crate) fn station(number: usize) -> String {
    let [_, high, middle, low] = (number as u32).to_be_bytes();
    format!("10.{high}.{middle}.{low}")
}

fn configuration(home: &Path, url: &str, (radius, portal): (SocketAddr, SocketAddr)) -> String {
    let place = home.display();
    let mut text = format!(
        "[radius]\nlisten = [\"{radius}\"]\n[log]\nto = \"stderr\"\nlevel = \"warn\"\n[store]\nfolder = \"{place}/state\"\n\
         key-file = \"{place}/master.key\"\n[control]\nsocket = \"{place}/control.sock\"\n\
         [login]\nprompt-life = \"10m\"\n\
         [portal]\nlisten = \"{portal}\"\nurl = \"http://localhost:{}\"\ntrusted-proxy = [\"127.0.0.1\"]\n\
         [directory.bench]\nservers = [\"{url}\"]\nbase = \"ou=people,dc=bench\"\nuser-filter = \"(uid={{user}})\"\n\
         bind-dn = \"cn=admin,dc=bench\"\npassword = \"admin\"\ngroups = \"none\"\n\
         [client.load]\naddress = [\"127.0.0.1\"]\nsecret = \"{SECRET}\"\ncode = [\"appended\"]\n\
         station = [\"Calling-Station-Id\"]\n",
        portal.port()
    );
    for client in 0..CLIENTS {
        let address = client + 1;
        let _infallible = write!(
            text,
            "[client.waits{client}]\naddress = [\"127.0.{address}.1\"]\nsecret = \"{SECRET}\"\ncode = [\"delimited\"]\n\
             push = [\"approve\"]\npatience = \"5m\"\nstation = [\"Calling-Station-Id\"]\n"
        );
    }
    text
}

/// Enrols everybody by the store's own operations, before the daemon runs.
fn enrol(file: &Path, (people, signer): (usize, &Signer), others: &[(String, Totp)]) -> Vec<i64> {
    let settings = config::read(file).expect("the configuration is right");
    let (master, _made) = master_key(&settings.store).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let key = DeviceKey::new(&signer.public()).unwrap();
    runtime.block_on(async {
        let store = Store::open(&settings.store, &master, Clock::system()).unwrap();
        let mut devices = vec![0; people];
        for some in (0..people).collect::<Vec<_>>().chunks(200) {
            let mut pairings = tokio::task::JoinSet::new();
            for number in some.iter().copied() {
                let store = store.clone();
                pairings.spawn(async move { (number, pair(&store, number, key).await) });
            }
            for (number, device) in pairings.join_all().await {
                devices[number] = device;
            }
        }
        for (number, (name, totp)) in others.iter().enumerate() {
            let (account, name) = (account(people + number), format!("bench/{name}"));
            store
                .enrol_totp(&account, &name, "bench", totp.clone(), Proof::Waived)
                .await
                .unwrap();
        }
        store.flush().await.unwrap();
        devices
    })
}

async fn pair(store: &Store, number: usize, key: DeviceKey) -> i64 {
    let (account, name) = (account(number), format!("bench/s{number:07}"));
    let (code, expires) = (format!("{number:08}"), Clock::system().now().after(START));
    store
        .open_pairing(&account, &name, &code, expires)
        .await
        .unwrap();
    let device = NewDevice {
        key,
        label: "phone".into(),
        language: Language::Both,
        bell: None,
    };
    let paired = store.pair(&code, device).await.unwrap();
    let device = match paired {
        Paired::Done { device, .. } => Some(device),
        Paired::NoSuchCode | Paired::TooMany => None,
    };
    let device = device.expect("a pairing");
    prove(store, (&account, &name), device).await;
    device
}

/// Proves a device by a test, as its owner does.
async fn prove(store: &Store, (account, name): (&AccountId, &str), device: i64) {
    let now = Clock::system().now();
    let (attempt, nas) = (AttemptId::new(now), IpAddr::from(Ipv4Addr::LOCALHOST));
    let decision = decision(&attempt, account, nas);
    let prompt = Prompt {
        account: account.clone(),
        name: AccountKey::from_stored(name),
        client: ClientName::new("portal"),
        nas,
        facts: ChallengeFacts {
            attempt,
            station: Station::Unknown,
            station_from: None,
            zone: None,
            rule: None,
            reply: Vec::new(),
            language: Language::Both,
            number_end: None,
            lasting: Lasting::default(),
        },
        crossing: Crossing::None,
        digits: 0,
        joins: false,
        test: Some(device),
        opened: now,
        expires: now.after(START),
    };
    let new = NewPrompt {
        prompt,
        attempt: [0; 32],
        number: None,
        late: Duration::ZERO,
        challenge: None,
    };
    let opened = store.join_or_open_prompt(new, decision.clone()).await;
    assert!(matches!(opened, Ok(PromptOpened::Opened { .. })));
    let approve = Response::Approve {
        number: String::new(),
    };
    let decided = store
        .decide_prompt(account, DecidedBy::Device(device, 1), approve, decision)
        .await;
    assert_eq!(decided.unwrap(), PromptDecided::Approved);
}

fn decision(attempt: &AttemptId, account: &AccountId, nas: IpAddr) -> Decision {
    Decision {
        attempt: attempt.clone(),
        at: Clock::system().now(),
        account: Some(account.clone()),
        name: "bench".into(),
        client: ClientName::new("portal"),
        nas,
        station: Station::Unknown,
        station_from: None,
        zone: None,
        rule: None,
        factor: None,
        outcome: Outcome::Waiting,
        reason: Reason::PushAsked,
        directory: None,
        durations: Durations::default(),
        note: None,
    }
}

fn account(number: usize) -> AccountId {
    AccountId::new("bench", &format!("00000000-0000-4000-8000-{number:012}"))
}

fn start_slapd(folder: &Path, people: usize) -> (Process, String) {
    let home = folder.join("slapd");
    fs::create_dir_all(home.join("db")).unwrap();
    let conf = home.join("slapd.conf");
    fs::write(
        &conf,
        format!(
            "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
             include /etc/ldap/schema/inetorgperson.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n\
             database mdb\nsuffix dc=bench\nrootdn cn=admin,dc=bench\nrootpw admin\ndirectory {}/db\n\
             maxsize 2147483648\nindex objectClass,uid,entryUUID eq\ndbnosync\n",
            home.display()
        ),
    )
    .unwrap();
    let ldif = home.join("people.ldif");
    fs::write(&ldif, people_ldif(people)).unwrap();
    let loaded = Command::new("slapadd")
        .args(["-q", "-f"])
        .arg(&conf)
        .arg("-l")
        .arg(&ldif)
        .status()
        .unwrap();
    assert!(loaded.success(), "slapadd");
    let address = free_tcp();
    let url = format!("ldap://{address}");
    let child = Command::new("slapd")
        .args(["-h", &url, "-d", "0", "-f"])
        .arg(&conf)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let process = Process(child);
    wait(|| TcpStream::connect(address).is_ok(), "slapd");
    (process, url)
}

fn people_ldif(people: usize) -> String {
    let mut text = String::from(
        "dn: dc=bench\nobjectClass: dcObject\nobjectClass: organization\no: bench\ndc: bench\n\n\
         dn: ou=people,dc=bench\nobjectClass: organizationalUnit\nou: people\n\n",
    );
    for number in 0..people {
        let hashed = digest(
            &SHA1_FOR_LEGACY_USE_ONLY,
            &[format!("Pass-{number}-").as_bytes(), b"saltsalt"].concat(),
        );
        let hashed = BASE64.encode(&[hashed.as_ref(), b"saltsalt"].concat());
        let _infallible = write!(
            text,
            "dn: uid=s{number:07},ou=people,dc=bench\nobjectClass: inetOrgPerson\nuid: s{number:07}\ncn: s{number:07}\n\
             sn: s{number:07}\nuserPassword: {{SSHA}}{hashed}\nentryUUID: 00000000-0000-4000-8000-{number:012}\n\n"
        );
    }
    text
}

/// Whether a server answers Status-Server.
fn answers(server: SocketAddr) -> bool {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let status = Query::status(0).sign(&Secret::from(SECRET));
    socket.send_to(status.octets(), server).unwrap();
    socket.recv_from(&mut [0; 4096]).is_ok()
}

fn wait(holds: impl Fn() -> bool, who: &str) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < START, "{who} does not answer");
        std::thread::yield_now();
    }
}

fn free_udp() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap()
}

fn free_tcp() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}
