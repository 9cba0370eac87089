//! The one integration binary.
#![expect(unreachable_pub, reason = "nothing leaves a binary")]

#[cfg(test)]
mod access;
#[cfg(test)]
mod browser;
#[cfg(test)]
mod channel;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod config;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod directory;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod login;
#[cfg(test)]
mod plan;
#[cfg(test)]
mod portal;
#[cfg(test)]
mod radsec;
#[cfg(test)]
mod server;
#[cfg(test)]
mod store;
#[cfg(test)]
mod support;
#[cfg(test)]
mod wifi;
#[cfg(test)]
mod wire;
