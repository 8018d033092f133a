//! quell carries out mass remediation on Qualys EDR from files kept in git.
//!
//! This is the map of the crate, in the order in which a run flows through it: files become domain types, those
//! become a plan, the plan becomes a run, its facts become a report. Decisions are pure functions inside
//! ([`plan`], [`engine`], [`report`]); IO is a thin ring around them ([`events`], [`api`], [`journal`], [`driver`]).
//!
//! Imports run one way: `commands → driver → engine → plan → playbook, tenant, events`. A test holds this.

pub mod inert;
pub mod noun;
pub mod problem;
pub mod yaml;

pub mod tenant;
pub mod playbook;
pub mod events;
pub mod plan;
pub mod approval;

pub mod run;
pub mod engine;
pub mod journal;
pub mod api;
pub mod driver;

pub mod report;
pub mod simulator;
pub mod scenario;

pub mod error;
pub mod cli;
pub mod commands;

#[doc(hidden)]
pub mod fuzzing;
