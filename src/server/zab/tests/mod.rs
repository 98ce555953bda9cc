//! Tests of the room as a whole, one file a subject.

mod cluster;
mod codec;
mod confirm;
mod disk;
mod election;
mod follower;
mod healing;
mod leader;
mod network;
mod observer;
mod oracle;
mod sim;
mod solo;
