//! Addresses of every form, and invalid texts.

use std::path::Path;

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<RemoteUrl, UrlError> {
    RemoteUrl::parse(text, Path::new("/cwd"))
}

#[test]
fn url_kind_is_recognized() {
    let local = |path: &str| RemoteKind::Local(path.into());
    for (text, kind) in [
        ("git@github.com:al/s.git", RemoteKind::Ssh),
        ("alias:s.git", RemoteKind::Ssh),
        ("[::1]:s.git", RemoteKind::Ssh),
        ("al@[::1]:s.git", RemoteKind::Ssh),
        ("ssh://git@host:22/s", RemoteKind::Ssh),
        ("git+ssh://host/s", RemoteKind::Ssh),
        ("HTTPS://host/s", RemoteKind::Http),
        ("https://al:pw@[::1]:8443/s", RemoteKind::Http),
        ("git://host/s", RemoteKind::Git),
        ("/srv/s.git", local("/srv/s.git")),
        ("./odd:name", local("/cwd/./odd:name")),
        ("s.git", local("/cwd/s.git")),
        ("~/s.git", local("/cwd/~/s.git")),
        ("file:///srv/s.git", local("/srv/s.git")),
    ] {
        assert_eq!(
            parse(text).map(|url| url.kind().clone()),
            Ok(kind),
            "{text}"
        );
    }
    assert_eq!(parse("s.git").unwrap().as_git_argument(), "/cwd/s.git");
}

#[test]
fn url_unsafe_address_is_refused() {
    for (text, error) in [
        (" ", UrlError::Empty),
        ("--upload-pack=x", UrlError::LeadingDash),
        ("https://h/\u{1b}x", UrlError::ControlCharacter),
        ("https://h/x\ny", UrlError::ControlCharacter),
        ("ext::sh -c x", UrlError::Helper("ext".to_owned())),
        ("fd::3", UrlError::Helper("fd".to_owned())),
        ("ftp://h/x", UrlError::Scheme("ftp".to_owned())),
        ("ssh://-oProxyCommand=x/y", UrlError::Host),
        ("ssh://al@-oProxyCommand=x/y", UrlError::Host),
        ("al@-oProxyCommand=x:y", UrlError::Host),
        ("https:///x", UrlError::Host),
        ("https://host/", UrlError::NoPath),
        ("host:", UrlError::NoPath),
        ("file://host/x", UrlError::Host),
    ] {
        assert_eq!(parse(text), Err(error), "{text:?}");
    }
}

#[test]
fn url_display_and_debug_hide_secrets() {
    for (text, shown) in [
        ("https://al:hunter2@host/x", "https://***@host/x"),
        ("https://ghp_token@host/x", "https://***@host/x"),
        ("https://host/x?token=abc", "https://host/x?***"),
        ("ssh://git@host/x", "ssh://git@host/x"),
        ("ssh://git:pw@host/x", "ssh://git:***@host/x"),
        ("git@host:x", "git@host:x"),
    ] {
        let url = parse(text).unwrap();
        assert_eq!(
            (url.to_string(), format!("{url:?}")),
            (shown.to_owned(), format!("RemoteUrl({shown})"))
        );
        assert_eq!(url.as_git_argument(), text);
    }
    let message = "fatal: Authentication failed for 'https://al:p@ss@host/x/' and \u{e9}https://b@c/, http://d/";
    assert_eq!(
        redact(message),
        "fatal: Authentication failed for 'https://***@host/x/' and \u{e9}https://***@c/, http://d/"
    );
    let url = parse("https://al:hunter2@host/x").unwrap();
    assert_eq!(
        url.redact("header: hunter2 https://x@y"),
        "header: *** https://***@y"
    );
}

#[test]
fn url_spellings_of_one_repository_share_identity() {
    for url in [
        "git@github.com:al/App.git",
        "github.com:/al/App",
        "https://github.com/al/App",
        "https://al:pw@GitHub.com:443/al/App.git/",
        "ssh://git@ssh.github.com:443/al//App.git",
        "git://github.com/al/App.git",
        "git+ssh://git@github.com:22/al/App/",
        "HTTP://github.com:80/al/App",
        "https://github.com./al/App.git?token=x#y",
        "https://github.com/AL/%41pp",
    ] {
        assert_eq!(
            project_identity(url).as_deref(),
            Some("github.com/al/app"),
            "{url}"
        );
    }
    for (url, identity) in [
        // One server has another port for each protocol.
        (
            "ssh://git@git.example.org:2222/al/app.git",
            "git.example.org/al/app",
        ),
        (
            "https://git.example.org:8443/al/app",
            "git.example.org/al/app",
        ),
        ("ssh://[2001:DB8::1]:22/x.git", "2001:db8::1/x"),
        ("al@[::1]:x.git", "::1/x"),
        ("https://al@[::1]:8443/x", "::1/x"),
        ("alias:x.git", "alias/x"),
        (
            "https://git.example.org/al/my%20app",
            "git.example.org/al/my%20app",
        ),
        (
            "git@git.example.org:al/my app.git",
            "git.example.org/al/my%20app",
        ),
        (
            "https://gitlab.example.org/Team/App",
            "gitlab.example.org/team/app",
        ),
        (
            "https://git.example.org/Team/App",
            "git.example.org/Team/App",
        ),
        ("git@host:~al/x", "host/~al/x"),
        ("https://host/al/x.GIT", "host/al/x.GIT"),
    ] {
        assert_eq!(project_identity(url).as_deref(), Some(identity), "{url}");
    }
    for url in [
        "git@ssh.dev.azure.com:v3/Acme/My%20Project/App",
        "https://Acme@dev.azure.com/Acme/My%20Project/_git/App",
        "https://dev.azure.com/acme/my%20project/_git/_optimized/app",
        "https://acme.visualstudio.com/My%20Project/_git/App",
        "https://acme.visualstudio.com/DefaultCollection/My%20Project/_git/App",
        "acme@vs-ssh.visualstudio.com:v3/acme/My%20Project/App",
    ] {
        let identity = Some("dev.azure.com/acme/my%20project/app");
        assert_eq!(project_identity(url).as_deref(), identity, "{url}");
    }
    assert_eq!(
        project_identity("https://dev.azure.com/acme/_git/app"),
        project_identity("git@ssh.dev.azure.com:v3/acme/app/app")
    );
    for url in [
        "https://bits.example.org/scm/TEAM/app.git",
        "https://bits.example.org/bitbucket/scm/team/app.git",
        "ssh://git@bits.example.org:7999/TEAM/app.git",
    ] {
        let identity = Some("bits.example.org/team/app");
        assert_eq!(project_identity(url).as_deref(), identity, "{url}");
    }
    for url in [
        "/srv/x.git",
        "../x",
        "x.git",
        "file:///srv/x",
        "file:///C:/x",
        "",
        "ext::x",
        "https://h",
        "https://h/.git",
        "h:../x",
        "C:\\x\ny",
        "C:\\work\\x.git",
        "c:/work/x.git",
        "\\\\server\\share\\x.git",
        "--upload-pack=x",
        "ssh://-oProxyCommand=x/y",
    ] {
        assert_eq!(project_identity(url), None, "{url}");
    }
}

#[test]
fn url_without_secrets_keeps_public_part() {
    for (text, plain) in [
        (
            "https://al:SECRET@host:8443/x.git?token=SECRET#SECRET",
            Some("https://host:8443/x.git"),
        ),
        ("https://SECRET@host/x", Some("https://host/x")),
        (
            "https://SECRET:x-oauth-basic@[::1]/x",
            Some("https://[::1]/x"),
        ),
        ("https://al:SE/CRET@host/x", None),
        ("https://al:SEC@RET@host/x", Some("https://host/x")),
        ("git://al:SECRET@host/x", Some("git://host/x")),
        ("ssh://git@host:22/x", Some("ssh://git@host:22/x")),
        ("ssh://git:SECRET@host/x", Some("ssh://git@host/x")),
        ("ssh://:SECRET@host/x", Some("ssh://host/x")),
        (
            "git+ssh://git:SEC@RET@host/x?SECRET",
            Some("git+ssh://git@host/x"),
        ),
        ("git@host:al/x.git", Some("git@host:al/x.git")),
        ("al:SECRET@host:x.git", None),
        ("host:x?token=SECRET", None),
        ("/srv/a b.git", Some("/srv/a b.git")),
        ("file:///srv/x", Some("/srv/x")),
    ] {
        assert_eq!(
            parse(text).unwrap().without_secrets().as_deref(),
            plain,
            "{text}"
        );
    }
}

proptest! {
    #[test]
    fn url_any_text_never_panics_or_shows_password(text in "\\PC*", noise in "[a-z:/@?#' é]{0,20}") {
        let _ = (parse(&text), redact(&text), project_identity(&text));
        let _ = (parse(&noise), redact(&noise), project_identity(&noise));
        let shown = redact(&format!("{noise} https://al:SECRET@host/x {noise}"));
        prop_assert!(!shown.contains("SECRET"), "{shown}");
        for address in [format!("https://al:SECRET@host/{noise}"), format!("ssh://al:SECRET{noise}@host/x")] {
            let plain = parse(&address).ok().and_then(|url| url.without_secrets()).unwrap_or_default();
            prop_assert!(!plain.contains("SECRET"), "{address} {plain}");
        }
    }
}
