//! The pages, and where they are.

mod codes;
mod home;
mod logins;
mod methods;
mod ntfy;
mod pairing;
mod signin;
mod stations;

pub(super) use methods::label;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use super::House;
use super::session::Guarded;

/// A form that says no more than which button was pressed.
#[derive(serde::Deserialize)]
struct Pressed {
    csrf: String,
}

impl Guarded for Pressed {
    fn csrf(&self) -> &str {
        &self.csrf
    }
}

/// A form about one factor.
#[derive(serde::Deserialize)]
struct Chosen {
    csrf: String,
    id: i64,
}

impl Guarded for Chosen {
    fn csrf(&self) -> &str {
        &self.csrf
    }
}

pub(super) fn routes() -> Router<Arc<House>> {
    Router::new()
        .route("/", get(home::home))
        .route("/cannot-login", get(home::desk))
        .route("/app", get(home::app))
        // What a ring opens.
        .route("/approve", get(home::approve))
        .route("/signin", get(signin::ask).post(signin::password))
        .route("/signin/code", get(signin::dialogue).post(signin::code))
        .route("/signin/wait", get(signin::wait))
        .route("/signin/cancel", post(signin::cancel))
        .route("/signout", post(signin::sign_out))
        .route("/methods", get(methods::list))
        .route("/methods/rename", post(methods::rename))
        .route("/methods/remove", post(methods::remove))
        .route("/methods/forget", post(stations::forget))
        .route(
            "/methods/test",
            get(pairing::test).post(pairing::begin_test),
        )
        .route("/methods/test/state", get(pairing::test_state))
        .route("/methods/ntfy", get(ntfy::address).post(ntfy::begin))
        .route("/methods/recovery", post(codes::recovery))
        .route("/methods/add", get(methods::add))
        .route(
            "/methods/add/device",
            get(pairing::show).post(pairing::begin),
        )
        .route("/methods/add/device/state", get(pairing::state))
        .route("/methods/add/totp", get(codes::show).post(codes::begin))
        .route("/methods/add/totp/code", post(codes::prove))
        .route("/lost", get(methods::lost).post(methods::end_lost))
        .route("/logins", get(logins::list))
        .route("/logins/report", post(logins::report))
}
