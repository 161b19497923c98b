{ lib, rustPlatform, installShellFiles }:

let
  cargo = (lib.importTOML ../../Cargo.toml).package;
in
rustPlatform.buildRustPackage {
  pname = cargo.name;
  version = cargo.version;

  src = lib.cleanSource ../..;
  cargoLock.lockFile = ../../Cargo.lock;

  nativeBuildInputs = [ installShellFiles ];

  # The tests want more of the machine than a build may have: sshd, tmux, the loopback.
  doCheck = false;

  postInstall = ''
    XDG_DATA_HOME=$PWD/share $out/bin/ccsync install-docs bash fish zsh
    installManPage share/man/man1/*.1
    installShellCompletion share/bash-completion/completions/ccsync \
      share/fish/vendor_completions.d/ccsync.fish share/zsh/site-functions/_ccsync
  '';

  meta = {
    inherit (cargo) description;
    homepage = cargo.repository;
    license = lib.licenses.mit;
    mainProgram = "ccsync";
  };
}
