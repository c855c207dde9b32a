//! A test bench's controller: what it and its host say to each other, and both ends of it.
//!
//! | module | what |
//! |---|---|
//! | [`message`] | commands, answers, and the version of both |
//! | [`wire`] | messages as bytes: version, postcard, CRC-16, COBS |
//! | [`controller`] | what the controller does, over [`Pins`](controller::Pins): the firmware's logic and the simulation's |
//! | `host` | the host's end, over a `Port` |
//! | `serial` | a `Port` that is a serial device |
//! | `glass` | latency from glass to glass out of edges of light |
//! | `simulated` | a bench made of software, with its own time |
//!
//! The first three need neither the standard library nor memory of their own; the others come with feature `std`.

#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]

pub mod controller;
#[cfg(feature = "std")]
pub mod glass;
#[cfg(feature = "std")]
pub mod host;
pub mod message;
#[cfg(all(feature = "std", unix))]
pub mod serial;
#[cfg(feature = "std")]
pub mod simulated;
pub mod wire;
