//! Members of a served group: who joins, what they are told, what reaches whom.

mod ending;
mod forwarding;
mod hostile;
mod joining;
mod memory;
mod owners;
mod properties;
mod queues;
mod together;
mod world;
