//! `ccsync install-docs`: puts manual pages and completions where `man` and the shells look.

use std::path::{Path, PathBuf};

use clap_complete::Shell;

use crate::cli::{
    app::App, error::CliError, exit::Exit, man_page::ManPage, shell::registration,
    shell::shell_named,
};
use crate::sys::env::Env;
use crate::sys::fs::{PathError, create_users_dir_all, remove_file_if_exists, write_cache};
use crate::ui::{format::count, sanitize::one_line};

/// Install manual pages and shell completions
///
/// Writes the manual pages of all commands, and the completion script of the shell, below
/// `$XDG_DATA_HOME` (by default `~/.local/share`), where `man` and the shells look. Prints what
/// it wrote and what is left to do. `ccsync install-docs --uninstall` removes everything again.
#[derive(Debug, clap::Args)]
pub(crate) struct InstallDocsArgs {
    /// Shells to complete in [default: your login shell; with --uninstall, all]
    #[arg(value_name = "SHELL", value_enum)]
    shells: Vec<Shell>,
    /// Remove what this command has installed
    #[arg(long)]
    uninstall: bool,
    /// Show what would be done and change nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
}

/// A file to be installed or removed.
struct DocFile {
    path: PathBuf,
    content: Vec<u8>,
}

pub(in crate::cli) fn run(
    args: &InstallDocsArgs,
    command_line: clap::Command,
    app: &mut App,
) -> Result<Exit, CliError> {
    let pages = man_pages(command_line, &app.env);
    let shells = chosen_shells(args, &app.env);
    let scripts = shells.iter().map(|shell| completion(*shell, &app.env));
    let scripts: Vec<DocFile> = scripts.collect();
    let all = pages.iter().chain(&scripts);

    let mut changed = 0;
    for file in all {
        changed += u64::from(args.apply(file)?);
    }

    let verb = match (args.uninstall, args.dry_run) {
        (false, false) => "written",
        (false, true) => "would be written",
        (true, false) => "removed",
        (true, true) => "would be removed",
    };
    let mut lines: Vec<String> = scripts.iter().map(|file| path_text(&file.path)).collect();
    if let Some(page) = pages.first() {
        let directory = path_text(page.path.parent().unwrap_or(&page.path));
        lines.insert(
            0,
            format!("{directory}: {}", count(pages.len() as u64, "manual page")),
        );
    }
    lines.push(format!("install-docs: {} {verb}", count(changed, "file")));
    app.print(&lines)?;
    if !args.uninstall {
        hints(&shells, app);
    }
    Ok(Exit::Done)
}

impl InstallDocsArgs {
    /// Writes or removes a file. Returns false if there is nothing to remove.
    fn apply(&self, file: &DocFile) -> Result<bool, PathError> {
        match (self.uninstall, self.dry_run) {
            (true, true) => Ok(file.path.exists()),
            (true, false) => remove_file_if_exists(&file.path),
            (false, true) => Ok(true),
            (false, false) => {
                create_users_dir_all(file.path.parent().unwrap_or(&file.path))?;
                write_cache(&file.path, &file.content).map(|()| true)
            }
        }
    }
}

/// Returns the manual pages. Windows has no program that shows them.
fn man_pages(command_line: clap::Command, env: &Env) -> Vec<DocFile> {
    if cfg!(windows) {
        return Vec::new();
    }
    let directory = env.data_home.join("man/man1");
    let pages = ManPage::all(command_line).into_iter();
    let files = pages.map(|page| DocFile {
        path: directory.join(page.file_name),
        content: page.roff,
    });
    files.collect()
}

fn chosen_shells(args: &InstallDocsArgs, env: &Env) -> Vec<Shell> {
    let login_shell = || env.shell.as_deref().and_then(shell_named);
    match args.shells.as_slice() {
        [] if args.uninstall => SHELLS.to_vec(),
        [] if cfg!(windows) => vec![Shell::PowerShell],
        [] => login_shell().into_iter().collect(),
        shells => shells.to_vec(),
    }
}

const SHELLS: [Shell; 5] = [
    Shell::Bash,
    Shell::Elvish,
    Shell::Fish,
    Shell::PowerShell,
    Shell::Zsh,
];

/// Returns the completion script of a shell, at the path that the shell searches or that
/// the hint names.
fn completion(shell: Shell, env: &Env) -> DocFile {
    let place = match shell {
        Shell::Bash => "bash-completion/completions/ccsync",
        Shell::Elvish => "elvish/lib/ccsync.elv",
        Shell::Fish => "fish/vendor_completions.d/ccsync.fish",
        Shell::PowerShell => "powershell/completions/ccsync.ps1",
        _ => "zsh/site-functions/_ccsync",
    };
    let mut content = registration(shell);
    if shell == Shell::Zsh {
        // `compinit` runs this file as the function `_ccsync` at the first completion, and
        // expects candidates from it.
        content.extend(b"[[ $funcstack[1] = _ccsync ]] && _clap_dynamic_completer_ccsync \"$@\"\n");
    }
    DocFile {
        path: env.data_home.join(place),
        content,
    }
}

/// Prints the remaining manual steps.
fn hints(shells: &[Shell], app: &mut App) {
    let data = app.env.data_home.clone();
    for shell in shells {
        let path = path_text(&completion(*shell, &app.env).path);
        let hint = match shell {
            Shell::Bash => {
                "completion needs the package `bash-completion` and a new shell".to_owned()
            }
            Shell::Elvish => "add to `rc.elv`: `use ccsync`".to_owned(),
            Shell::Fish => continue,
            Shell::PowerShell => format!("add to your `$PROFILE`: `. '{path}'`"),
            _ => format!(
                "add to `~/.zshrc`, before `compinit`: `fpath=('{}' $fpath)`",
                path_text(&data.join("zsh/site-functions"))
            ),
        };
        app.out.hint(&hint);
    }
    if shells.is_empty() {
        app.out
            .hint("for completions, name your shell: `ccsync install-docs zsh`");
    }
    // `man` searches the directory `share/man` next to each directory of programs.
    let bin = data.with_file_name("bin");
    if !cfg!(windows) && !app.env.search_path.contains(&bin) {
        let pages = path_text(&data.join("man"));
        app.out.hint(&format!(
            "if `man ccsync` finds nothing: `export MANPATH='{pages}:'`"
        ));
    }
}

fn path_text(path: &Path) -> String {
    one_line(&path.to_string_lossy()).into_owned()
}
