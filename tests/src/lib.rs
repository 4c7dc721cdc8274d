//! What klstore's tests share: a store without a network, and actors that can be stopped at every request.

pub mod world;
