//! What klstore's tests share: a store without a network, and actors that can be stopped at every request.

pub mod explorer;
pub mod history;
pub mod model_run;
pub mod seeded;
pub mod stage;
pub mod vec_model;
pub mod workload;
pub mod world;
