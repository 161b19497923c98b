# Formula of Homebrew, for Formula/ccsync.rb in a tap.
class Ccsync < Formula
  desc "@DESCRIPTION@"
  homepage "@ADDRESS@"
  version "@VERSION@"
  license "@LICENSE@"

  on_macos do
    on_arm do
      url "@DOWNLOADS@/ccsync-aarch64-apple-darwin.tar.gz"
      sha256 "@SHA256:aarch64-apple-darwin@"
    end
    on_intel do
      url "@DOWNLOADS@/ccsync-x86_64-apple-darwin.tar.gz"
      sha256 "@SHA256:x86_64-apple-darwin@"
    end
  end

  on_linux do
    on_arm do
      url "@DOWNLOADS@/ccsync-aarch64-unknown-linux-musl.tar.gz"
      sha256 "@SHA256:aarch64-unknown-linux-musl@"
    end
    on_intel do
      url "@DOWNLOADS@/ccsync-x86_64-unknown-linux-musl.tar.gz"
      sha256 "@SHA256:x86_64-unknown-linux-musl@"
    end
  end

  def install
    bin.install "ccsync"
    man1.install Dir["share/man/man1/*.1"]
    bash_completion.install "share/bash-completion/completions/ccsync"
    zsh_completion.install "share/zsh/site-functions/_ccsync"
    fish_completion.install "share/fish/vendor_completions.d/ccsync.fish"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/ccsync --version")
  end
end
