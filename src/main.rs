//! Arguments in, exit code out.

fn main() -> std::process::ExitCode {
    ccsync::cli::main()
}
