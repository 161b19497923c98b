//! stub
/// Play the whole story in a temporary directory
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}
pub(super) fn run(
    _: &Args,
    _: &mut crate::cli::app::App,
) -> Result<crate::cli::exit::Exit, crate::cli::error::CliError> {
    Ok(crate::cli::exit::Exit::Done)
}
