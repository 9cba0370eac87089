//! The processes of the bench: slapd, and the two servers that ask it.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sekisho::account::AccountId;
use sekisho::clock::Clock;
use sekisho::config;
use sekisho::secret::Secret;
use sekisho::store::{Proof, Store, master_key};
use sekisho::wire::Query;

use crate::people::{People, SECRET};

/// How long a process may take to answer after its start.
const START: Duration = Duration::from_secs(60);

/// A server under load.
pub trait Server: Sync {
    fn name(&self) -> &'static str;
    fn address(&self) -> SocketAddr;
    fn pid(&self) -> u32;

    /// How many steps the code of a second login must be ahead.
    fn next_code(&self) -> i64 {
        0
    }

    /// User and system time of the process so far.
    fn cpu(&self) -> Duration {
        let stat =
            fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("the server lives");
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }
}

/// A child that ends with its value.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// The directory.
pub struct Slapd {
    pub url: String,
    _process: Process,
}

impl Slapd {
    pub fn start(folder: &Path, people: &People) -> Self {
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
        fs::write(&ldif, people.ldif()).unwrap();
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
        Self {
            url,
            _process: process,
        }
    }
}

/// Ours.
pub struct Sekisho {
    address: SocketAddr,
    process: Process,
}

impl Sekisho {
    /// Starts it with one client, `load`, of which `client` says more; `prepare` has the file before the daemon does.
    pub fn start(folder: &Path, slapd: &Slapd, client: &str, prepare: impl FnOnce(&Path)) -> Self {
        let home = folder.join("sekisho");
        fs::create_dir_all(home.join("state")).unwrap();
        let (address, place) = (free_udp(), home.display());
        let file = home.join("sekisho.toml");
        fs::write(
            &file,
            format!(
                "[radius]\nlisten = [\"{address}\"]\n[log]\nto = \"stderr\"\n[store]\nfolder = \"{place}/state\"\n\
                 key-file = \"{place}/master.key\"\n[control]\nsocket = \"{place}/control.sock\"\n\
                 [directory.bench]\nservers = [\"{}\"]\nbase = \"ou=people,dc=bench\"\nuser-filter = \"(uid={{user}})\"\n\
                 bind-dn = \"cn=admin,dc=bench\"\npassword = \"admin\"\ngroups = \"none\"\n\
                 [client.load]\naddress = [\"127.0.0.1\"]\nsecret = \"{SECRET}\"\n\
                 station = [\"Calling-Station-Id\"]\n{client}",
                slapd.url
            ),
        )
        .unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        prepare(&file);
        let log = fs::File::create(home.join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_sekisho"))
            .args(["serve", "--config"])
            .arg(&file)
            .stderr(log)
            .spawn()
            .unwrap();
        let server = Self {
            address,
            process: Process(child),
        };
        wait(|| answers(address), "sekisho");
        server
    }
}

impl Server for Sekisho {
    fn name(&self) -> &'static str {
        "sekisho"
    }

    fn next_code(&self) -> i64 {
        1
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn pid(&self) -> u32 {
        self.process.0.id()
    }
}

/// Enrols everybody by the store's own operation, before the daemon runs.
pub fn enrol(file: &Path, people: &People) {
    let settings = config::read(file).expect("the configuration is right");
    let (master, _made) = master_key(&settings.store).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = Store::open(&settings.store, &master, Clock::system()).unwrap();
        for some in people.0.chunks(200) {
            let mut enrolments = tokio::task::JoinSet::new();
            for person in some {
                let (store, totp) = (store.clone(), person.totp.clone());
                // As an operator enrols: under the key of the account.
                let name = format!("bench/{}", person.uid);
                let account = AccountId::new("bench", &person.uuid);
                enrolments.spawn(async move {
                    store
                        .enrol_totp(&account, &name, "bench", totp, Proof::Waived)
                        .await
                        .unwrap()
                });
            }
            enrolments.join_all().await;
        }
        store.flush().await.unwrap();
    });
}

/// Debian's FreeRADIUS.
pub struct FreeRadius {
    address: SocketAddr,
    process: Process,
}

impl FreeRadius {
    /// Starts it with a configuration in which places, secret and addresses are filled in.
    pub fn start(folder: &Path, slapd: &Slapd, conf: &str) -> Self {
        let home = folder.join("freeradius");
        fs::create_dir_all(&home).unwrap();
        let address = free_udp();
        let conf = conf
            .replace("@HOME@", &home.display().to_string())
            .replace("@PORT@", &address.port().to_string())
            .replace("@SECRET@", SECRET)
            .replace("@LDAP@", &slapd.url);
        fs::write(home.join("radiusd.conf"), conf).unwrap();
        let log = fs::File::create(home.join("out")).unwrap();
        let child = Command::new("freeradius")
            .args(["-f", "-l", "stdout", "-d"])
            .arg(&home)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let server = Self {
            address,
            process: Process(child),
        };
        wait(|| answers(address), "freeradius");
        server
    }
}

impl Server for FreeRadius {
    fn name(&self) -> &'static str {
        "FreeRADIUS"
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn pid(&self) -> u32 {
        self.process.0.id()
    }
}

/// Whether a server answers Status-Server.
fn answers(server: SocketAddr) -> bool {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    socket
        .send_to(
            Query::status(0).sign(&Secret::from(SECRET)).octets(),
            server,
        )
        .unwrap();
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
    UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

fn free_tcp() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}
