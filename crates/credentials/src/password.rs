//! Slow hashes of passwords.
//!
//! A [`Scheme`] says how new passwords are hashed; its text is a value of the configuration, `bcrypt;cost=12`. What
//! [`Scheme::hash`] makes tells its own scheme and cost, so that [`verify`] needs to know nothing else and a change of the
//! configuration leaves the users of before alone.
//!
//! ```text
//! $2a$10$<salt, 22 characters><hash, 31 characters>      bcrypt
//! $pbkdf2-sha256$29000$<salt>$<hash>                      base64 with `.` for `+` and without `=`
//! ```
//!
//! Invariants
//! - A password that the scheme would cut or could mistake for another is refused, not cut.
//! - What is stored may come from anywhere: damage and absurd costs verify nothing, fast.
//! - Hashes are compared in constant time, and a password that cannot be right costs as much as one that could.
//!
//! Not here: salts (they are arguments), and how many hashes are computed at once (`login`).

use std::fmt;
use std::num::NonZeroU32;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::pbkdf2;
use base64::Engine;
use base64::alphabet::{self, Alphabet};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Longest password that bcrypt hashes, in bytes.
pub const BCRYPT_PASSWORD_BYTES_MAX: usize = 72;

/// Longest stored hash that is looked at.
const STORED_BYTES_MAX: usize = 4 << 10;
/// A stored bcrypt hash of a higher cost verifies nothing, unless the configuration has such a cost itself. About 5 s.
const STORED_COST_MAX: u32 = 16;
/// The same of PBKDF2.
const STORED_ROUNDS_MAX: u32 = 10_000_000;
const SALT_BYTES_MAX: usize = 1_024;
const BCRYPT_SALT_BYTES: usize = 16;
/// Of the 24 bytes that bcrypt gives, 23 are stored.
const BCRYPT_HASH_BYTES: usize = 23;
/// What FIPS asks of PBKDF2.
const FIPS_ROUNDS_MIN: u32 = 1_000;
const FIPS_SALT_BYTES_MIN: usize = 16;

/// How passwords are hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// 2^cost rounds of a slow key schedule.
    Bcrypt {
        /// 4 to 31.
        cost: u32,
    },
    /// Many rounds of a fast hash.
    Pbkdf2 {
        /// Which one.
        digest: Digest,
        /// From 1 on.
        rounds: NonZeroU32,
        /// 1 to 1024.
        salt_bytes: usize,
    },
}

/// The hash in a round of PBKDF2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// SHA-256, 32 bytes.
    Sha256,
    /// SHA-512, 64 bytes.
    Sha512,
}

/// Why a text is no scheme. For operators.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemeError {
    /// No such scheme.
    #[error("unknown password hash {0:?} (known are bcrypt, pbkdf2-sha256 and pbkdf2-sha512)")]
    Unknown(String),
    /// The scheme has no such option, or it is not of the form `option=value`.
    #[error("{scheme} has no option {option:?}")]
    Option {
        /// Which scheme.
        scheme: &'static str,
        /// What stands there.
        option: String,
    },
    /// An option stands twice.
    #[error("option {0} is given twice")]
    Twice(&'static str),
    /// A value is no number, or out of bounds.
    #[error("{option} must be a number from {min} to {max}")]
    Range {
        /// Of which option.
        option: &'static str,
        /// The smallest.
        min: u32,
        /// The largest.
        max: u32,
    },
}

/// Why a password cannot be hashed. The texts go to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// The scheme would ignore the end of it.
    #[error("password length exceeds 72 bytes")]
    TooLong,
    /// The scheme could not tell it from others.
    #[error("password must not contain a zero byte")]
    ZeroByte,
}

/// An option of a scheme.
struct OptionOf {
    name: &'static str,
    default: u32,
    min: u32,
    max: u32,
}

const COST: OptionOf = OptionOf { name: "cost", default: 10, min: 4, max: 31 };
const ROUNDS: OptionOf = OptionOf { name: "rounds", default: 29_000, min: 1, max: u32::MAX };
const SALT_LEN: OptionOf = OptionOf { name: "salt_len", default: 16, min: 1, max: SALT_BYTES_MAX as u32 };

impl Digest {
    fn name(self) -> &'static str {
        match self {
            Digest::Sha256 => "pbkdf2-sha256",
            Digest::Sha512 => "pbkdf2-sha512",
        }
    }

    fn hash_bytes(self) -> usize {
        match self {
            Digest::Sha256 => 32,
            Digest::Sha512 => 64,
        }
    }

    fn derive(self, rounds: NonZeroU32, salt: &[u8], password: &str) -> Vec<u8> {
        let algorithm = match self {
            Digest::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Digest::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        };
        let mut hash = vec![0; self.hash_bytes()];
        pbkdf2::derive(algorithm, rounds, salt, password.as_bytes(), &mut hash);
        hash
    }
}

impl Scheme {
    /// Reads `scheme[;option=value]…`.
    ///
    /// # Errors
    /// See [`SchemeError`].
    pub fn parse(text: &str) -> Result<Scheme, SchemeError> {
        let (name, options) = text.split_once(';').map_or((text, None), |(name, options)| (name, Some(options)));
        let digest = match name {
            "bcrypt" => {
                let [cost] = read_options("bcrypt", options, &[COST])?;
                return Ok(Scheme::Bcrypt { cost });
            }
            "pbkdf2-sha256" => Digest::Sha256,
            "pbkdf2-sha512" => Digest::Sha512,
            other => return Err(SchemeError::Unknown(other.to_owned())),
        };
        let [rounds, salt_len] = read_options(digest.name(), options, &[ROUNDS, SALT_LEN])?;
        let rounds = NonZeroU32::new(rounds).expect("the range begins at 1");
        Ok(Scheme::Pbkdf2 { digest, rounds, salt_bytes: salt_len as usize })
    }

    /// Whether FIPS 140 lets passwords be hashed like this.
    pub fn is_fips_ready(&self) -> bool {
        match self {
            Scheme::Bcrypt { .. } => false,
            Scheme::Pbkdf2 { rounds, salt_bytes, .. } => {
                rounds.get() >= FIPS_ROUNDS_MIN && *salt_bytes >= FIPS_SALT_BYTES_MIN
            }
        }
    }

    /// Length of the salt of a hash.
    pub fn salt_bytes(&self) -> usize {
        match self {
            Scheme::Bcrypt { .. } => BCRYPT_SALT_BYTES,
            Scheme::Pbkdf2 { salt_bytes, .. } => *salt_bytes,
        }
    }

    /// Hashes `password` with a salt of [`Scheme::salt_bytes`] bytes that nobody had before.
    ///
    /// Cost: as the scheme says, from a twentieth of a second up. Not for async threads.
    ///
    /// # Errors
    /// Before any work is done, when the scheme cannot tell the password from others.
    pub fn hash(&self, password: &str, salt: &[u8]) -> Result<String, PasswordError> {
        let made = Stored { scheme: *self, salt: salt.to_vec(), hash: Vec::new() };
        made.check(password)?;
        Ok(Stored { hash: made.compute(password), ..made }.to_string())
    }

    /// A hash that no password has, which takes as long to find out as for any other: what is verified for a user that
    /// does not exist.
    pub fn decoy(&self, salt: &[u8]) -> String {
        let hash_bytes = match self {
            Scheme::Bcrypt { .. } => BCRYPT_HASH_BYTES,
            Scheme::Pbkdf2 { digest, .. } => digest.hash_bytes(),
        };
        Stored { scheme: *self, salt: salt.to_vec(), hash: vec![0; hash_bytes] }.to_string()
    }
}

/// Prints all options, in a fixed order.
impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scheme::Bcrypt { cost } => write!(f, "bcrypt;cost={cost}"),
            Scheme::Pbkdf2 { digest, rounds, salt_bytes } => {
                write!(f, "{};rounds={rounds};salt_len={salt_bytes}", digest.name())
            }
        }
    }
}

/// Whether `password` is the one that `stored` was made from.
///
/// Cost: as the stored hash says, but no more than that of about 5 s, or of the `configured` scheme.
pub fn verify(password: &str, stored: &str, configured: &Scheme) -> bool {
    let Some(stored) = Stored::parse(stored).filter(|stored| stored.is_allowed() && stored.is_affordable(configured))
    else {
        return false;
    };
    let possible = stored.check(password).is_ok();
    // The work is done in either case, so that time tells nothing.
    let computed = stored.compute(if possible { password } else { "" });
    possible & verify_slices_are_equal(&computed, &stored.hash).is_ok()
}

/// Whether `text` has the shape of a stored hash.
pub fn is_hash(text: &str) -> bool {
    Stored::parse(text).is_some()
}

/// The values of all options in the order of `known`, those that are not given by default.
fn read_options<const N: usize>(
    scheme: &'static str,
    options: Option<&str>,
    known: &[OptionOf; N],
) -> Result<[u32; N], SchemeError> {
    let mut values = [None; N];
    for given in options.iter().flat_map(|options| options.split(';')) {
        let unknown = || SchemeError::Option { scheme, option: given.to_owned() };
        let (name, value) = given.split_once('=').ok_or_else(unknown)?;
        let position = known.iter().position(|option| option.name == name).ok_or_else(unknown)?;
        let option = &known[position];
        let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let number = value.parse().ok().filter(|number| digits && (option.min..=option.max).contains(number));
        let out_of_range = SchemeError::Range { option: option.name, min: option.min, max: option.max };
        if values[position].replace(number.ok_or(out_of_range)?).is_some() {
            return Err(SchemeError::Twice(option.name));
        }
    }
    let mut defaults = known.iter().map(|option| option.default);
    Ok(values.map(|value| {
        let default = defaults.next().expect("as many as values");
        value.unwrap_or(default)
    }))
}

/// A stored hash in its parts.
struct Stored {
    scheme: Scheme,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl Stored {
    /// `None` for anything that is damaged or of a kind that we do not know.
    fn parse(text: &str) -> Option<Stored> {
        if text.len() > STORED_BYTES_MAX {
            return None;
        }
        let mut parts = text.strip_prefix('$')?.split('$');
        let (kind, work, rest, more, end) = (parts.next()?, parts.next()?, parts.next()?, parts.next(), parts.next());
        match (kind, more, end) {
            ("2a" | "2b" | "2y", None, None) => Stored::parse_bcrypt(work, rest),
            ("pbkdf2-sha256", Some(hash), None) => Stored::parse_pbkdf2(Digest::Sha256, work, rest, hash),
            ("pbkdf2-sha512", Some(hash), None) => Stored::parse_pbkdf2(Digest::Sha512, work, rest, hash),
            _ => None,
        }
    }

    fn parse_bcrypt(cost: &str, rest: &str) -> Option<Stored> {
        let cost = (cost.len() == 2).then(|| number(cost)).flatten()?;
        let (salt, hash) = rest.split_at_checked(22)?;
        let (salt, hash) = (bcrypt_base64().decode(salt).ok()?, bcrypt_base64().decode(hash).ok()?);
        let whole = salt.len() == BCRYPT_SALT_BYTES && hash.len() == BCRYPT_HASH_BYTES;
        let in_range = (COST.min..=COST.max).contains(&cost);
        (whole && in_range).then_some(Stored { scheme: Scheme::Bcrypt { cost }, salt, hash })
    }

    fn parse_pbkdf2(digest: Digest, rounds: &str, salt: &str, hash: &str) -> Option<Stored> {
        let rounds = NonZeroU32::new(number(rounds)?)?;
        let (salt, hash) = (dotted_base64().decode(salt).ok()?, dotted_base64().decode(hash).ok()?);
        let whole = (1..=SALT_BYTES_MAX).contains(&salt.len()) && hash.len() == digest.hash_bytes();
        let scheme = Scheme::Pbkdf2 { digest, rounds, salt_bytes: salt.len() };
        whole.then_some(Stored { scheme, salt, hash })
    }

    /// FIPS 140 does not know bcrypt: whoever has such a hash needs a new password.
    fn is_allowed(&self) -> bool {
        !cfg!(feature = "fips") || matches!(self.scheme, Scheme::Pbkdf2 { .. })
    }

    fn is_affordable(&self, configured: &Scheme) -> bool {
        match (self.scheme, *configured) {
            (Scheme::Bcrypt { cost }, Scheme::Bcrypt { cost: ours }) => cost <= STORED_COST_MAX.max(ours),
            (Scheme::Bcrypt { cost }, Scheme::Pbkdf2 { .. }) => cost <= STORED_COST_MAX,
            (Scheme::Pbkdf2 { rounds, .. }, Scheme::Pbkdf2 { rounds: ours, .. }) => {
                rounds.get() <= STORED_ROUNDS_MAX.max(ours.get())
            }
            (Scheme::Pbkdf2 { rounds, .. }, Scheme::Bcrypt { .. }) => rounds.get() <= STORED_ROUNDS_MAX,
        }
    }

    /// Whether the scheme can tell the password from all others. With zero bytes it cannot: the key of bcrypt is the
    /// password with a zero byte behind it, again and again, and HMAC fills short keys up with them.
    fn check(&self, password: &str) -> Result<(), PasswordError> {
        match self.scheme {
            Scheme::Bcrypt { .. } if password.len() > BCRYPT_PASSWORD_BYTES_MAX => Err(PasswordError::TooLong),
            _ if password.contains('\0') => Err(PasswordError::ZeroByte),
            Scheme::Bcrypt { .. } | Scheme::Pbkdf2 { .. } => Ok(()),
        }
    }

    fn compute(&self, password: &str) -> Vec<u8> {
        match self.scheme {
            Scheme::Bcrypt { cost } => {
                let salt = self.salt.as_slice().try_into().expect("bcrypt has salts of 16 bytes");
                let mut key = password.as_bytes().to_vec();
                key.push(0);
                key.truncate(BCRYPT_PASSWORD_BYTES_MAX);
                bcrypt::bcrypt(cost, salt, &key)[..BCRYPT_HASH_BYTES].to_vec()
            }
            Scheme::Pbkdf2 { digest, rounds, .. } => digest.derive(rounds, &self.salt, password),
        }
    }
}

impl fmt::Display for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scheme {
            Scheme::Bcrypt { cost } => {
                let (salt, hash) = (bcrypt_base64().encode(&self.salt), bcrypt_base64().encode(&self.hash));
                write!(f, "$2a${cost:02}${salt}{hash}")
            }
            Scheme::Pbkdf2 { digest, rounds, .. } => {
                let (salt, hash) = (dotted_base64().encode(&self.salt), dotted_base64().encode(&self.hash));
                write!(f, "${}${rounds}${salt}${hash}", digest.name())
            }
        }
    }
}

fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Other programs leave bits of the last character set.
fn base64_of(alphabet: &Alphabet) -> GeneralPurpose {
    let config = GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(alphabet, config)
}

fn bcrypt_base64() -> GeneralPurpose {
    base64_of(&alphabet::BCRYPT)
}

fn dotted_base64() -> GeneralPurpose {
    const DOTTED: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789./";
    base64_of(&Alphabet::new(DOTTED).expect("64 characters that differ"))
}

#[cfg(test)]
mod tests;
