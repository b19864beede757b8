//! What the tests share: the proxy as a process, and the two peers that talk through it.

pub(crate) mod access_log;
pub(crate) mod admin;
pub(crate) mod config;
pub(crate) mod envoy;
pub(crate) mod name_server;
pub(crate) mod nginx;
pub(crate) mod origin;
pub(crate) mod patient;
pub(crate) mod pattern;
pub(crate) mod peers;
pub(crate) mod process;
pub(crate) mod profile;
pub(crate) mod proxy;
pub(crate) mod turns;
pub(crate) mod wait;
pub(crate) mod web;
pub(crate) mod wire;

pub(crate) use config::Config;
pub(crate) use origin::Origin;
pub(crate) use patient::Patient;
pub(crate) use proxy::Proxy;
pub(crate) use wait::{let_pass, until};
pub(crate) use wire::{End, Wire};
