//! A prompt as a device is shown it: signed, so that neither another page nor an old worker can invent one.

use serde_json::{Value, json};

use data_encoding::BASE64URL_NOPAD;

use crate::account::{ClientName, Station};
use crate::portal::page::Failure;
use crate::portal::{CLIENT, House};
use crate::store::{Device, Prompt, PromptState};

/// What a device can answer: the open prompts of its owner, and its own test; one that is not proven, its test alone.
pub(super) fn open(house: &House, device: &Device) -> Result<Vec<Prompt>, Failure> {
    let standing = house
        .rooms
        .store
        .standing(&device.account, &Station::Unknown)?;
    let proven = standing.factors.iter().any(|factor| factor.id == device.id);
    let known = standing.prompts.into_iter();
    let open = known.filter(|known| known.state == PromptState::Open);
    let of_device = |prompt: &Prompt| match prompt.test {
        Some(only) => only == device.id,
        None => proven,
    };
    Ok(open.map(|known| known.prompt).filter(of_device).collect())
}

/// The text that is signed, and its signature.
pub(super) fn signed(house: &House, device: &Device, prompt: &Prompt) -> Result<Value, Failure> {
    let store = &house.rooms.store;
    let standing = store.standing(&prompt.account, &prompt.facts.station)?;
    let known = standing.passwords.known_station;
    let text = text(house, device, prompt, known).to_string();
    let signature = house.signer.sign(&format!("sekisho request 1\n{text}\n"));
    Ok(json!({ "text": text, "signature": BASE64URL_NOPAD.encode(&signature) }))
}

fn text(house: &House, device: &Device, prompt: &Prompt, known: bool) -> Value {
    let facts = &prompt.facts;
    let name = prompt.name.as_str();
    let (ja, en) = label(house, &prompt.client);
    json!({
        "device": device.id,
        "prompt": prompt.id(),
        "account": prompt.account,
        "name": name.split_once('/').map_or(name, |(_, user)| user),
        "client": prompt.client,
        "label": { "ja": ja, "en": en },
        "station": facts.station.to_string(),
        "zone": facts.zone,
        // Nobody logged in to this account from there of late.
        "new": !known && facts.station != Station::Unknown && prompt.test.is_none(),
        "opened": prompt.opened.millis(),
        "expires": prompt.expires.millis(),
        "crossing": prompt.crossing,
        // Of digits that were chosen freely it is not said how many there are.
        "digits": match prompt.crossing {
            crate::store::Crossing::Shown => prompt.digits,
            crate::store::Crossing::Typed | crate::store::Crossing::None => 0,
        },
        "test": prompt.test.is_some(),
    })
}

/// What people call a client.
fn label(house: &House, client: &ClientName) -> (String, String) {
    if client.as_str() == CLIENT {
        let [ja, en] = [crate::account::Language::Ja, crate::account::Language::En];
        let name = |language| crate::portal::texts::words(language).this_site.to_owned();
        return (name(ja), name(en));
    }
    let setup = house.setup.load();
    let mut clients = setup.settings.clients.iter();
    match clients.find(|(known, _)| known == client) {
        Some((_, label)) => (label.ja.clone(), label.en.clone()),
        None => (client.to_string(), client.to_string()),
    }
}
