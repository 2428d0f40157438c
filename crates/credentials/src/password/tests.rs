use super::*;

fn scheme(text: &str) -> Scheme {
    Scheme::parse(text).expect("a scheme")
}

#[test]
fn schemes_print_all_their_options() {
    for (text, want) in [
        ("bcrypt", "bcrypt;cost=10"),
        ("bcrypt;cost=4", "bcrypt;cost=4"),
        ("bcrypt;cost=31", "bcrypt;cost=31"),
        ("pbkdf2-sha256", "pbkdf2-sha256;rounds=29000;salt_len=16"),
        ("pbkdf2-sha256;salt_len=32;rounds=64000", "pbkdf2-sha256;rounds=64000;salt_len=32"),
        ("pbkdf2-sha512;rounds=4294967295;salt_len=1024", "pbkdf2-sha512;rounds=4294967295;salt_len=1024"),
        ("pbkdf2-sha512;rounds=1;salt_len=1", "pbkdf2-sha512;rounds=1;salt_len=1"),
    ] {
        assert_eq!(scheme(text).to_string(), want);
        assert_eq!(scheme(want), scheme(text));
    }
}

#[test]
fn what_is_no_scheme_is_told() {
    let known = "(known are bcrypt, pbkdf2-sha256 and pbkdf2-sha512)";
    for (text, want) in [
        ("", &format!("unknown password hash \"\" {known}")),
        ("md5", &format!("unknown password hash \"md5\" {known}")),
        (" bcrypt", &format!("unknown password hash \" bcrypt\" {known}")),
        ("Bcrypt", &format!("unknown password hash \"Bcrypt\" {known}")),
        ("bcrypt;", &"bcrypt has no option \"\"".to_owned()),
        ("bcrypt;cost", &"bcrypt has no option \"cost\"".to_owned()),
        ("bcrypt;rounds=5", &"bcrypt has no option \"rounds=5\"".to_owned()),
        ("bcrypt;cost=5;cost=5", &"option cost is given twice".to_owned()),
        ("bcrypt;cost=3", &"cost must be a number from 4 to 31".to_owned()),
        ("bcrypt;cost=32", &"cost must be a number from 4 to 31".to_owned()),
        ("bcrypt;cost=+5", &"cost must be a number from 4 to 31".to_owned()),
        ("bcrypt;cost=", &"cost must be a number from 4 to 31".to_owned()),
        ("pbkdf2-sha256;rounds=0", &"rounds must be a number from 1 to 4294967295".to_owned()),
        ("pbkdf2-sha256;rounds=4294967296", &"rounds must be a number from 1 to 4294967295".to_owned()),
        ("pbkdf2-sha512;salt_len=0", &"salt_len must be a number from 1 to 1024".to_owned()),
        ("pbkdf2-sha512;salt_len=1025", &"salt_len must be a number from 1 to 1024".to_owned()),
    ] {
        assert_eq!(&Scheme::parse(text).expect_err(text).to_string(), want, "{text}");
    }
}

#[test]
fn fips_wants_pbkdf2_with_enough_rounds_and_salt() {
    for (text, ready) in [
        ("bcrypt;cost=31", false),
        ("pbkdf2-sha256", true),
        ("pbkdf2-sha512;rounds=1000;salt_len=16", true),
        ("pbkdf2-sha512;rounds=999", false),
        ("pbkdf2-sha256;salt_len=15", false),
    ] {
        assert_eq!(scheme(text).is_fips_ready(), ready, "{text}");
    }
}

// Hashes of bcrypt are good for nobody with FIPS.
#[cfg(not(feature = "fips"))]
#[test]
fn passwords_verify_against_their_own_hash_only() {
    let bcrypt = scheme("bcrypt;cost=4");
    for text in ["bcrypt;cost=4", "pbkdf2-sha256;rounds=3;salt_len=5", "pbkdf2-sha512;rounds=3;salt_len=17"] {
        let scheme = scheme(text);
        let salt: Vec<u8> = (1..=scheme.salt_bytes()).map(|byte| byte as u8).collect();
        for password in ["", "s3cret", "pässwörd", &"x".repeat(72)] {
            let stored = scheme.hash(password, &salt).expect("hashed");
            assert!(verify(password, &stored, &bcrypt), "{text} {password}");
            for other in ["S3cret", "s3cret\0", "s3cret\0s3cret", &"x".repeat(71), &"x".repeat(73)] {
                assert!(!verify(other, &stored, &bcrypt), "{text} {password} {other}");
            }
            // Any other character of the text is another hash, or none.
            for at in 0..stored.len() {
                let mut changed = stored.clone().into_bytes();
                changed[at] = if changed[at] == b'Z' { b'Y' } else { b'Z' };
                let changed = String::from_utf8(changed).expect("text");
                // The last bits of a group are not part of the value.
                let same = Stored::parse(&changed).is_some_and(|parsed| {
                    let before = Stored::parse(&stored).expect("whole");
                    parsed.salt == before.salt && parsed.hash == before.hash
                });
                assert_eq!(verify(password, &changed, &bcrypt), same, "{changed}");
            }
        }
        assert_ne!(scheme.hash("a", &salt), scheme.hash("a", &vec![9; salt.len()]));
    }
}

// Hashes of bcrypt are good for nobody with FIPS.
#[cfg(not(feature = "fips"))]
#[test]
fn hashes_are_those_of_other_programs() {
    // The first two are from the reference server, those of PBKDF2 from Python's hashlib.
    for (password, stored) in [
        ("pw", "$2a$10$O59E3ncDAJg.xDdUVxX2AOv/jnhvw4WBe8xqbXR7GX5z0Up9NlpuW"),
        ("pu", "$2a$10$aefglyVcgZrYFh8/yKi9L.awlGg21AphF9XWjn.A1IU2kBV3e.CDm"),
        ("abc", "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i"),
        ("abc", "$2b$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i"),
        ("password", "$pbkdf2-sha256$6400$AAECAwQFBgcICQoLDA0ODw$tPOMD/grGsIamqYFYSZfmAdFVLhjOwI3BJ.ZUfspFNM"),
        (
            "pässwörd",
            "$pbkdf2-sha512$1000$AAECAwQFBgcICQoLDA0ODw$tesGdwmZwygAGYLzLiZnuLe7u7U7QwD64kd8Dxsmq1czniS4pZHyb0gH6ZCWHMgN1oFJ7mpRl1LVshQSj7oYVw",
        ),
    ] {
        assert!(verify(password, stored, &scheme("bcrypt")), "{stored}");
        assert!(!verify("other", stored, &scheme("bcrypt")));
    }
}

#[test]
fn long_passwords_are_refused_by_bcrypt_alone() {
    let (bcrypt, pbkdf2) = (scheme("bcrypt;cost=4"), scheme("pbkdf2-sha256;rounds=1"));
    assert_eq!(bcrypt.hash(&"x".repeat(73), &[0; 16]), Err(PasswordError::TooLong));
    assert_eq!(bcrypt.hash("a\0b", &[0; 16]), Err(PasswordError::ZeroByte));
    let long = pbkdf2.hash(&"x".repeat(73), &[0; 16]).expect("any length");
    assert!(verify(&"x".repeat(73), &long, &bcrypt) && !verify(&"x".repeat(74), &long, &bcrypt));
}

#[test]
fn what_is_damaged_or_absurd_verifies_nothing() {
    let bcrypt = scheme("bcrypt");
    let tail = "If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i";
    let mut bad = vec![
        String::new(),
        "$".to_owned(),
        "$$$$".to_owned(),
        "plain".to_owned(),
        "x".repeat(100_000),
        format!("$2a$6${tail}"),
        format!("$2a$31${tail}"),
        format!("$2a$17${tail}"),
        format!("$2a$03${tail}"),
        format!("$2a$99${tail}"),
        format!("$2x$06${tail}"),
        format!("$2a$06${tail}a"),
        format!("$2a$06${}", &tail[1..]),
        format!("$2a$06${tail}$"),
        format!("$2a$06$ä{}", &tail[2..]),
    ];
    let hash = "Y11AchqV4b0sUisdZd0Xr97KWoymNE0LNNrnEgY4H9M";
    for (rounds, salt, hash) in [
        ("0", "0ZrzXitFSGltTQnBWOsdew", hash),
        ("-1", "0ZrzXitFSGltTQnBWOsdew", hash),
        ("10000001", "0ZrzXitFSGltTQnBWOsdew", hash),
        ("4294967295", "0ZrzXitFSGltTQnBWOsdew", hash),
        ("4294967296", "0ZrzXitFSGltTQnBWOsdew", hash),
        ("6400", "", hash),
        ("6400", "0ZrzXitFSGltTQnBWOsdeA=", hash),
        ("6400", "0ZrzXitFSGltTQnBWOsdew", ""),
        ("6400", "0ZrzXitFSGltTQnBWOsdew", &hash[2..]),
        ("6400", &"A".repeat(1_368), hash),
    ] {
        bad.push(format!("$pbkdf2-sha256${rounds}${salt}${hash}"));
        bad.push(format!("$pbkdf2-sha512${rounds}${salt}${hash}"));
    }
    for stored in &bad {
        for password in ["", "abc", "password"] {
            assert!(!verify(password, stored, &bcrypt), "{stored}");
        }
    }
    assert!(is_hash(&format!("$2a$06${tail}")) && !is_hash("plain") && !is_hash(""));
    // Who configures a cost gets it.
    let stored = Stored::parse(&format!("$2a$17${tail}")).expect("well formed");
    assert!(stored.is_affordable(&scheme("bcrypt;cost=17")) && !stored.is_affordable(&bcrypt));
}

#[test]
fn decoys_have_the_shape_of_hashes_and_no_password() {
    for text in ["bcrypt;cost=4", "pbkdf2-sha256;rounds=3", "pbkdf2-sha512;rounds=3;salt_len=1"] {
        let scheme = scheme(text);
        let salt = vec![7; scheme.salt_bytes()];
        let (decoy, real) = (scheme.decoy(&salt), scheme.hash("x", &salt).expect("hashed"));
        assert_eq!(decoy.len(), real.len(), "{decoy}");
        assert_eq!(Stored::parse(&decoy).expect("well formed").scheme, scheme);
        assert!(!verify("", &decoy, &scheme) && !verify("x", &decoy, &scheme));
    }
}

#[cfg(feature = "fips")]
#[test]
fn with_fips_hashes_of_bcrypt_are_good_for_nobody() {
    let bcrypt = Scheme::parse("bcrypt;cost=4").expect("a scheme");
    let stored = bcrypt.hash("pass", &[7; 16]).expect("hashed");
    assert!(is_hash(&stored) && !verify("pass", &stored, &bcrypt));
    let pbkdf2 = Scheme::parse("pbkdf2-sha256").expect("a scheme");
    let stored = pbkdf2.hash("pass", &[7; 16]).expect("hashed");
    assert!(verify("pass", &stored, &pbkdf2));
}
