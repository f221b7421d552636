//! Codes of WebTransport streams within HTTP/3's codes (draft-ietf-webtrans-http3, section 4.6): QUIC carries the latter, browsers show
//! the former.

use quinn::VarInt;

/// The first of HTTP/3's codes that are WebTransport's.
const FIRST: u64 = 0x52e4_a40f_a8db;

/// Every so many codes one is reserved for nobody (RFC 9114 8.1).
const RESERVED_EVERY: u64 = 0x1e;

/// The code on the wire of a stream that is reset or stopped with `code`.
#[must_use]
pub fn to_http3(code: u32) -> VarInt {
    let code = u64::from(code);
    // At most FIRST and 2^32 and a thirtieth of it, far below 2^62.
    VarInt::from_u64(FIRST + code + code / RESERVED_EVERY).unwrap_or(VarInt::MAX)
}

/// The code that `wire` stands for; none when it is not one of WebTransport's.
#[must_use]
pub fn from_http3(wire: VarInt) -> Option<u32> {
    let offset = wire.into_inner().checked_sub(FIRST)?;
    if offset % (RESERVED_EVERY + 1) == RESERVED_EVERY {
        return None;
    }
    u32::try_from(offset - offset / (RESERVED_EVERY + 1)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn codes_are_those_of_the_draft() {
        assert_eq!(to_http3(0).into_inner(), 0x52e4_a40f_a8db);
        assert_eq!(to_http3(1).into_inner(), 0x52e4_a40f_a8dc);
        assert_eq!(to_http3(30).into_inner(), 0x52e4_a40f_a8db + 31);
        assert_eq!(to_http3(u32::MAX).into_inner(), 0x52e5_ac98_3162, "the last one");
    }

    proptest! {
        #[test]
        fn code_comes_back(code: u32) {
            prop_assert_eq!(from_http3(to_http3(code)), Some(code));
        }

        #[test]
        fn no_code_makes_it_panic(wire in 0..1_u64 << 62) {
            let _ = from_http3(VarInt::from_u64(wire).unwrap());
        }
    }
}
