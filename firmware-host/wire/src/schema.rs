//! What both ends must agree on, as text and as a number.

/// Every message, its direction and its fields. What is written here is what the hash stands for.
pub const SCHEMA: &str = include_str!("schema.txt");

/// FNV-1a, 64 bits, of [`SCHEMA`]'s bytes: told in the handshake, so that ends built from different schemas never
/// misread each other.
///
/// Source: <http://www.isthe.com/chongo/tech/comp/fnv/>.
pub const SCHEMA_HASH: u64 = fnv1a(SCHEMA.as_bytes());

const fn fnv1a(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x100_0000_01b3);
        at += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_published_function() {
        // From the authors' list of test vectors.
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
