//! The one integration binary.

mod access;
mod channel;
mod cli;
mod config;
mod demo;
mod directory;
mod login;
mod plan;
mod server;
mod store;
mod support;
mod wire;
