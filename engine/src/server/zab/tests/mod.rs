//! Tests of the room as a whole, one file a subject.

mod cluster;
mod codec;
mod confirm;
mod disk;
mod door;
mod election;
mod follower;
mod healing;
mod leader;
mod network;
mod observer;
mod oracle;
mod rolls;
mod sim;
mod solo;
