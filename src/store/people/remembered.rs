//! What an account's row says of stations at which a second factor was proven: until when it is not asked for again there (D9).

use serde::{Deserialize, Serialize};

use crate::account::{ClientName, Station};
use crate::clock::Timestamp;
use crate::store::{Error, Remember, RememberedStation};

/// Stations of one account: more equipment than a person carries; the one proven first goes.
const STATIONS: usize = 16;

/// Client, station, since when, until when, and when the password had been changed.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Kept(String, String, i64, i64, i64);

/// The part of the row. Its text is empty for most accounts.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::store) struct Remembered {
    #[serde(rename = "s", default, skip_serializing_if = "Vec::is_empty")]
    stations: Vec<Kept>,
    /// How often all that earlier logins earned was ended: what was earned under another count is void.
    #[serde(rename = "e", default, skip_serializing_if = "is_none")]
    pub(in crate::store) ended: u32,
}

const fn is_none(count: &u32) -> bool {
    *count == 0
}

impl Remembered {
    pub(super) fn read(text: &str) -> Result<Self, Error> {
        match text {
            "" => Ok(Self::default()),
            text => Ok(serde_json::from_str(text)?),
        }
    }

    pub(super) fn text(&self) -> Result<String, Error> {
        match *self == Self::default() {
            true => Ok(String::new()),
            false => Ok(serde_json::to_string(self)?),
        }
    }

    /// Those that hold, the one proven first in front.
    pub(super) fn stations(&self, now: Timestamp) -> Vec<RememberedStation> {
        let holding = self.stations.iter().filter(|kept| kept.3 > now.millis());
        holding
            .map(
                |Kept(client, station, at, until, changed)| RememberedStation {
                    client: ClientName::new(client),
                    station: Station::read(station),
                    at: Timestamp::from_millis(*at),
                    until: Timestamp::from_millis(*until),
                    password_changed: Timestamp::from_millis(*changed),
                },
            )
            .collect()
    }

    /// Remembers a station, unless what the login began with was ended since.
    pub(super) fn keep(
        &mut self,
        (client, station): (&ClientName, &Station),
        new: &Remember,
        now: Timestamp,
    ) {
        if new.ended != self.ended {
            return;
        }
        let (client, station) = (client.to_string(), station.to_string());
        self.stations
            .retain(|kept| kept.3 > now.millis() && !(kept.0 == client && kept.1 == station));
        let spare = (self.stations.len() + 1).saturating_sub(STATIONS);
        self.stations.drain(..spare);
        self.stations.push(Kept(
            client,
            station,
            now.millis(),
            new.until.millis(),
            new.password_changed.millis(),
        ));
    }

    /// Ends what earlier logins earned; of stations only one, if it is named. Says how many stations that were.
    pub(in crate::store) fn end(&mut self, only: Option<&Station>) -> usize {
        let before = self.stations.len();
        match only.map(Station::to_string) {
            Some(only) => self.stations.retain(|kept| kept.1 != only),
            None => self.stations.clear(),
        }
        self.ended = self.ended.wrapping_add(1);
        before - self.stations.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn new(seconds: i64, ended: u32) -> Remember {
        Remember {
            until: Timestamp::from_millis(NOW.millis() + seconds * 1000),
            password_changed: Timestamp::from_secs(7),
            ended,
        }
    }

    fn mac(last: u8) -> Station {
        Station::Mac([2, 0, 0, 0, 0, last])
    }

    fn wifi() -> ClientName {
        ClientName::new("wifi")
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let mut remembered = Remembered::default();
        assert_eq!(remembered.text().unwrap(), "");
        remembered.keep((&wifi(), &mac(1)), &new(10, 0), NOW);
        let again = Remembered::read(&remembered.text().unwrap()).unwrap();
        let [station] = &again.stations(NOW)[..] else {
            panic!("not one station");
        };
        assert_eq!((&station.client, &station.station), (&wifi(), &mac(1)));
        assert_eq!(station.at, NOW);
        assert_eq!(station.until, new(10, 0).until);
        assert_eq!(station.password_changed, Timestamp::from_secs(7));
    }

    #[test]
    fn each_ends_in_its_time_and_there_is_a_bound() {
        let mut remembered = Remembered::default();
        for last in 0..100 {
            remembered.keep((&wifi(), &mac(last)), &new(10 + i64::from(last), 0), NOW);
        }
        let held: Vec<_> = remembered.stations(NOW);
        assert_eq!(held.len(), STATIONS);
        assert!(held.iter().any(|kept| kept.station == mac(99)));
        assert!(held.iter().all(|kept| kept.station != mac(83)));
        let later = Timestamp::from_secs(1_000_108);
        assert_eq!(remembered.stations(later).len(), 1);
        assert!(
            remembered
                .stations(Timestamp::from_secs(1_000_109))
                .is_empty()
        );
    }

    #[test]
    fn one_station_is_remembered_once_for_each_client() {
        let mut remembered = Remembered::default();
        let vpn = ClientName::new("vpn");
        for client in [wifi(), vpn, wifi()] {
            remembered.keep((&client, &mac(1)), &new(10, 0), NOW);
        }
        assert_eq!(remembered.stations(NOW).len(), 2);
    }

    #[test]
    fn what_was_ended_while_a_login_went_on_is_not_begun_by_it() {
        let mut remembered = Remembered::default();
        remembered.keep((&wifi(), &mac(1)), &new(10, 0), NOW);
        remembered.keep((&wifi(), &mac(2)), &new(10, 0), NOW);
        assert_eq!(remembered.end(Some(&mac(9))), 0);
        assert_eq!(remembered.end(Some(&mac(1))), 1);
        remembered.keep((&wifi(), &mac(1)), &new(10, 0), NOW);
        assert_eq!(remembered.stations(NOW).len(), 1);
        assert_eq!(remembered.end(None), 1);
        remembered.keep((&wifi(), &mac(1)), &new(10, 3), NOW);
        assert_eq!(remembered.stations(NOW).len(), 1);
    }
}
