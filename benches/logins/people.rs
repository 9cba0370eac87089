//! The people of the directory: names, passwords, seeds, and the packets they log in with.

use std::fmt::Write as _;
use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use data_encoding::{BASE32_NOPAD, BASE64};
use sekisho::clock::Timestamp;
use sekisho::factor::{Algorithm, Totp};
use sekisho::secret::{Secret, random_array};
use sekisho::wire::Query;

/// The secret that both servers share with the load.
pub const SECRET: &str = "a shared secret for the bench";

/// How long a code is the code of now (RFC 6238 §4.1).
const STEP: Duration = Duration::from_secs(30);

/// One person.
pub struct Person {
    pub uid: String,
    pub password: String,
    pub uuid: String,
    pub totp: Totp,
}

/// Waits until the codes of now hold so long.
pub fn await_young_step(need: Duration) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let into = Duration::from_millis(u64::try_from(since.as_millis() % 30_000).unwrap());
    if into + need > STEP {
        std::thread::sleep(STEP - into);
    }
}

/// Everybody, in the random order in which they log in.
pub struct People(pub Vec<Person>);

impl People {
    pub fn new(count: usize) -> Self {
        let mut people: Vec<Person> = (0..count).map(Person::new).collect();
        // Fisher–Yates with the system's randomness: the order is another one in each run.
        for at in (1..people.len()).rev() {
            let drawn = u64::from_be_bytes(random_array());
            people.swap(at, usize::try_from(drawn % (at as u64 + 1)).unwrap());
        }
        Self(people)
    }

    /// Signed requests of these people, with the code of so many steps from now.
    pub fn packets(&self, range: Range<usize>, steps: i64) -> Vec<Vec<u8>> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let at = Timestamp::from_secs(i64::try_from(since.as_secs()).unwrap() + steps * 30);
        let secret = Secret::from(SECRET);
        self.0[range.clone()]
            .iter()
            .enumerate()
            .map(|(number, person)| {
                let typed = format!("{}{}", person.password, person.totp.code_at(at));
                let station = format!(
                    "203.0.{}.{}",
                    (range.start + number) / 250 % 250,
                    (range.start + number) % 250
                );
                Query::access(u8::try_from(number % 256).unwrap())
                    .with(1, person.uid.as_bytes())
                    .with_password(&secret, typed.as_bytes())
                    .with(4, &[127, 0, 0, 1])
                    .with(31, station.as_bytes())
                    .sign(&secret)
                    .octets()
                    .to_vec()
            })
            .collect()
    }

    /// The directory's content.
    pub fn ldif(&self) -> String {
        let mut text = String::from(
            "dn: dc=bench\nobjectClass: dcObject\nobjectClass: organization\no: bench\ndc: bench\n\n\
             dn: ou=people,dc=bench\nobjectClass: organizationalUnit\nou: people\n\n",
        );
        for person in &self.0 {
            let seed = BASE32_NOPAD.encode(person.totp.seed().expose());
            let _infallible = write!(
                text,
                "dn: uid={0},ou=people,dc=bench\nobjectClass: inetOrgPerson\nuid: {0}\ncn: {0}\nsn: {0}\n\
                 userPassword: {1}\ndescription: {seed}\nentryUUID: {2}\n\n",
                person.uid,
                ssha(&person.password),
                person.uuid,
            );
        }
        text
    }
}

impl Person {
    fn new(number: usize) -> Self {
        let seed = Secret::new(random_array::<20>().to_vec());
        Self {
            uid: format!("s{number:07}"),
            password: format!("Pass-{number}-"),
            uuid: format!("00000000-0000-4000-8000-{number:012}"),
            totp: Totp::new(seed, Algorithm::Sha1, 6).unwrap(),
        }
    }
}

fn ssha(password: &str) -> String {
    let salt: [u8; 8] = random_array();
    let hashed = digest(
        &SHA1_FOR_LEGACY_USE_ONLY,
        &[password.as_bytes(), &salt].concat(),
    );
    format!(
        "{{SSHA}}{}",
        BASE64.encode(&[hashed.as_ref(), &salt].concat())
    )
}
