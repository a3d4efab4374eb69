//! The domain: who is here, who hears what, what may follow what.

pub mod bucket;
pub mod closing;
pub mod command;
pub mod durable;
pub mod event;
pub mod hub;
pub mod log;
pub mod name;
pub mod refusal;
pub mod rules;
