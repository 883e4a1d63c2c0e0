use super::*;

fn pin(byte: u8) -> Pin {
    Pin::of(&[byte; 16], &[byte; 32])
}

/// Remembers these fingerprints one after the other, as writers give them.
fn line(pins: impl IntoIterator<Item = u8>) -> KnownVault {
    let give = |before: Option<KnownVault>, (at, byte)| {
        let before = before.map(|known| KnownVault { next: Some(pin(byte)), ..known });
        Some(KnownVault::updated(before, pin(byte), at, None))
    };
    (1..).zip(pins).fold(None, give).unwrap()
}

#[test]
fn a_name_follows_what_writers_of_this_machine_gave_and_nothing_else() {
    let file = line([1, 2, 3]);
    for former in [1, 2, 3] {
        let known = line([former]).follow(&file);
        assert_eq!((known.pin, known.generation), (pin(3), 3));
        assert!(!known.is(pin(4)));
    }
    assert_eq!(line([9]).follow(&file), line([9]));
    // A name that knows more than the file's own memory does not go back.
    assert_eq!(line([1, 2, 3, 4]).follow(&file).pin, pin(4));
    // What a person took for the right one begins anew.
    let accepted = KnownVault::updated(Some(file.clone()), pin(7), 8, None);
    assert_eq!(accepted, KnownVault { generation: 8, ..line([7]) });
    assert_eq!(line([3]).follow(&accepted), line([3]));
    // What is to come is known by a name as well.
    let about = KnownVault { next: Some(pin(4)), ..file };
    assert!(line([1]).follow(&about).is(pin(4)));
}

#[test]
fn the_former_fingerprints_have_a_bound() {
    let known = line(0..100);
    assert_eq!(known.former, (83..99).map(pin).collect::<Vec<_>>());
    assert_eq!(line([83]).follow(&known).pin, pin(99));
    assert_eq!(line([82]).follow(&known).pin, pin(82));
}

#[test]
fn both_memories_have_to_agree() {
    let known = |real, named| Recalled { real, named, last: None };
    assert!(!known(None, None).is(pin(1)));
    assert!(known(Some(line([1])), None).is(pin(1)));
    assert!(known(None, Some(line([1]))).is(pin(1)));
    let both = known(Some(line([1])), Some(line([2])));
    assert!(!both.is(pin(1)) && !both.is(pin(2)));
    assert_eq!(both.other_than(pin(1)), Some(pin(2)));
    assert_eq!((both.generation(pin(1)), both.generation(pin(3))), (1, 0));
    // The highest generation counts, also that of where the name led last.
    let later = KnownVault { generation: 7, ..line([1]) };
    let moved = Recalled { last: Some(later), ..known(Some(line([1])), Some(line([1]))) };
    assert_eq!(moved.generation(pin(1)), 7);
}

#[test]
fn a_name_is_absolute_by_its_spelling_alone() {
    let here = std::env::current_dir().unwrap();
    for (named, name) in [
        ("/srv/vault.age", "/srv/vault.age"),
        ("//srv/.//vault.age", "/srv/vault.age"),
        ("/srv/none/../vault.age", "/srv/vault.age"),
        ("/../../srv/vault.age", "/srv/vault.age"),
    ] {
        assert_eq!(absolute(Path::new(named)).unwrap(), Path::new(name), "{named}");
    }
    assert_eq!(absolute(Path::new("a/../vault.age")).unwrap(), here.join("vault.age"));
    assert_eq!(
        absolute(Path::new("../vault.age")).unwrap(),
        here.parent().unwrap().join("vault.age")
    );
    assert_eq!(absolute(Path::new("")), None);
}

#[test]
fn what_is_written_is_read_and_what_is_no_memory_is_refused() {
    let d = crate::file::testing::Directory::new();
    let memory = Memory::of(&d.path, Path::new("/name/vault.age"), Path::new("/real/vault.age"));
    assert_eq!(memory.recall().unwrap(), Recalled::default());
    memory.announce(pin(1)).unwrap();
    assert!(d.names().is_empty(), "nothing is remembered, so nothing is made");
    for byte in 1..40 {
        memory.announce(pin(byte)).unwrap();
        memory.remember(pin(byte), byte.into()).unwrap();
    }
    memory.announce(pin(40)).unwrap();
    let known = memory.recall().unwrap();
    assert!(known.is(pin(39)) && known.is(pin(40)) && !known.is(pin(38)));
    // A reader leaves what a writer has announced.
    memory.remember_after(&known, pin(39), 50).unwrap();
    let now = memory.recall().unwrap();
    assert!(now.is(pin(40)) && now.generation(pin(39)) == 50);
    // It does not overwrite what another process has written since.
    memory.remember_after(&known, pin(39), 60).unwrap();
    assert_eq!(memory.recall().unwrap(), now);

    let file = &memory.real.file;
    let good = std::fs::read_to_string(file).unwrap();
    for bad in [
        "former = 7\n",
        "former = [\"SHA256:\"]\n",
        "led_to = \"../../../../etc/passwd\"\n",
        "led_to = \"\"\n",
        "led_to = 7\n",
        "next = \"\"\n",
    ] {
        let key = bad.split(' ').next().unwrap();
        let rest = good.lines().filter(|line| !line.starts_with(key));
        let text: String = rest.map(|line| format!("{line}\n")).collect();
        std::fs::write(file, format!("{text}{bad}")).unwrap();
        assert!(memory.recall().is_err(), "{bad}");
    }
}

#[test]
fn a_path_of_any_length_is_remembered() {
    let d = crate::file::testing::Directory::new();
    let long = format!("/{}", "\u{1}/".repeat(2000));
    let memory = Memory::of(&d.path, Path::new(&long), Path::new(&long));
    for byte in 0..20 {
        memory.announce(pin(byte)).unwrap();
        memory.remember(pin(byte), 1).unwrap();
    }
    assert!(memory.recall().unwrap().is(pin(19)));
}
