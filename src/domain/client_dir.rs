//! The client's name for a project's directory under `projects/`.
//!
//! Observed with client 2.1.329: every UTF-16 code unit outside `[A-Za-z0-9]` becomes `-`. A result
//! longer than 200 is cut there and followed by `-` and a hash of the original path. Different
//! paths may have the same name, so a name is never decoded.

/// Longest name that is not cut, in UTF-16 code units (client 2.1.76 and later).
pub const MAX_PLAIN: usize = 200;

/// Returns the directory name of an absolute path (links resolved, the machine's native form).
pub fn client_dir_name(path: &str) -> String {
    let mut name = String::with_capacity(path.len());
    let mut hash: i32 = 0;
    for unit in path.encode_utf16() {
        hash = hash.wrapping_mul(31).wrapping_add(i32::from(unit));
        let plain = u8::try_from(unit).ok().filter(u8::is_ascii_alphanumeric);
        name.push(plain.map_or('-', char::from));
    }
    if name.len() > MAX_PLAIN {
        name.truncate(MAX_PLAIN);
        name.push('-');
        name.push_str(&base36(hash.unsigned_abs()));
    }
    name
}

fn base36(mut n: u32) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(b"0123456789abcdefghijklmnopqrstuvwxyz"[(n % 36) as usize]);
        n /= 36;
        if n == 0 {
            break;
        }
    }
    digits.iter().rev().map(|d| char::from(*d)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_dir_name_follows_observed_rule() {
        assert_eq!(client_dir_name("/home/al/my_proj.x"), "-home-al-my-proj-x");
        assert_eq!(client_dir_name("/p/é/目/🚀"), "-p-------");
        assert_eq!(client_dir_name("C:\\Users\\al"), "C--Users-al");
        assert_eq!(client_dir_name(&"/a".repeat(100)).len(), 200);
        let cut = client_dir_name(&"/a".repeat(101));
        assert!(
            cut.starts_with(&"-a".repeat(100)) && cut.as_bytes()[200] == b'-' && cut.len() > 201,
            "{cut}"
        );
    }
}
