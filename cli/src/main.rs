//! The klstore command.
fn main() {}
