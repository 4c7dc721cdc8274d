//! The `klstore-bridge` command.

fn main() -> std::process::ExitCode {
    klstore_bridge::command::main()
}
