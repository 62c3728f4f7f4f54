//! A server that runs for months: full disks, floods, stops, backups, and what becomes of old tasks.

mod backups;
mod bounds;
mod cancelling;
mod clock;
mod disk;
mod housekeeping;
mod queue;
mod stopping;
