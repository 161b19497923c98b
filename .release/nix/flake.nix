# nix run 'git+ADDRESS?dir=.release/nix', or as an input of another flake. Builds from the source of this checkout.
{
  description = "Keep Claude Code sessions in a private git repository and continue them on any machine";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" "x86_64-darwin" "aarch64-darwin" ];
      forEach = make: nixpkgs.lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
    in
    {
      packages = forEach (pkgs: {
        default = pkgs.callPackage ./package.nix { };
      });

      overlays.default = final: previous: {
        ccsync = final.callPackage ./package.nix { };
      };
    };
}
