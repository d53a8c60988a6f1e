"""Banks: what is in them, their files, and how they are made."""

import dataclasses
from collections import Counter

import numpy as np
import pytest

from envs_jax.platformer import making
from envs_jax.platformer.bank import BankError, join, read_bank, write_bank
from envs_jax.platformer.generators import CATEGORIES, generate
from envs_jax.platformer.generators.draft import mirrored
from envs_jax.platformer.making import likeness, make, split_of
from envs_jax.platformer.maps import write_map
from envs_jax.platformer.search import Effort, Proof, check, prove_each
from envs_jax.platformer.suites import SUITES, Suite, cache_path, load, main

FAST = Effort(states=2000, polish=100, slots=4, batch=32, mines=64, doors=3)


@pytest.fixture(scope="module")
def starter():
    return load("starter")


@pytest.fixture(scope="module")
def made():
    return make(["simplest", "simpler"], [3, 5], effort=FAST)


def _rows(bank):
    return [
        (write_map(level), proof.horizontal.tolist(), proof.jump.tolist(), *rest)
        for level, proof, *rest in zip(
            bank.maps,
            bank.proofs,
            bank.categories,
            bank.generators,
            bank.seeds,
            bank.tiers,
            strict=True,
        )
    ]


def test_the_starter_bank_has_every_category_in_slices(starter):
    assert tuple(dict.fromkeys(starter.categories)) == tuple(CATEGORIES)
    groups = starter.groups
    assert len({group[:2] for group in groups}) == len(groups)
    first = 0
    for group in groups:
        assert group.first == first and group.size > 0
        members = slice(first, first + group.size)
        assert set(starter.categories[members]) == {group.category}
        assert set(starter.generators[members]) == {group.generator}
        first += group.size
    assert first == len(starter)


def test_the_large_bank_has_the_levels_of_starter_and_none_of_test(starter):
    large, test = load("large"), load("test")
    assert dict(Counter(large.categories)) == SUITES["large"].counts
    known = {likeness(level) for level in large.maps}
    assert len(known) == len(large)
    assert known.isdisjoint(likeness(level) for level in test.maps)
    assert len(known & {likeness(level) for level in starter.maps}) > 0.9 * len(starter)
    some = [(n, large.maps[n], large.proofs[n]) for n in range(0, len(large), 40)]
    proofs = dict(check(some, FAST))
    held = [n for n in proofs if proofs[n] and proofs[n].frames == large.proofs[n].frames]
    # The game is chaotic: a compiler that rounds otherwise may lose a few.
    assert len(held) >= 0.95 * len(some)


def test_levels_of_the_starter_bank_come_from_their_seeds(starter):
    for index in range(0, len(starter), 7):
        family, preset = starter.generators[index].split(":")
        again = generate(family, preset, starter.seeds[index])
        assert write_map(again) == write_map(starter.maps[index])
        assert split_of(again) == "train"


def test_every_level_of_the_starter_bank_is_won_by_its_proof(starter):
    rows = [
        (number, *row) for number, row in enumerate(zip(starter.maps, starter.proofs, strict=True))
    ]
    checked = dict(check(rows, FAST))
    assert sorted(checked) == list(range(len(starter)))
    for number, proof in enumerate(starter.proofs):
        assert checked[number] is not None and checked[number].frames == proof.frames


def test_proofs_that_do_not_win_are_noticed(starter):
    proof = starter.proofs[0]
    for bad in (Proof(0 * proof.horizontal, proof.jump), Proof(-proof.horizontal, proof.jump)):
        assert dict(check([(5, starter.maps[0], bad)], FAST)) == {5: None}


def test_made_banks_are_sorted_proved_and_without_twins(made):
    assert made.categories == ("simplest",) * 3 + ("simpler",) * 5
    assert list(made.generators[3:]) == sorted(made.generators[3:])
    assert all(proof.frames > 0 for proof in made.proofs)
    likenesses = {likeness(level) for level in made.maps}
    assert len(likenesses) == len(made)
    assert {split_of(level) for level in made.maps} == {"train"}


def test_making_again_gives_the_same(made):
    again = make(["simplest", "simpler"], [3, 5], effort=FAST)
    assert _rows(again) == _rows(made)


def test_a_level_is_in_one_split_wherever_it_lies():
    for seed in range(10):
        level = generate("hills", "medium", seed)
        assert split_of(level) == split_of(mirrored(level))
    splits = [split_of(generate("maze", "small", seed)) for seed in range(60)]
    assert 3 < splits.count("test") < 30


def test_a_bank_file_gives_the_bank_back(made, tmp_path):
    write_bank(made, tmp_path / "deep" / "bank.npz")
    assert _rows(read_bank(tmp_path / "deep" / "bank.npz")) == _rows(made)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["bank.npz"]


@pytest.mark.parametrize("damage", ["cut", "flip", "foreign", "missing", "format"])
def test_bad_bank_files_are_refused_in_one_line(made, tmp_path, damage):
    path = tmp_path / "bank.npz"
    write_bank(made, path)
    raw = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(raw[: len(raw) // 2])
    elif damage == "flip":
        raw[len(raw) // 2] ^= 0x55
        path.write_bytes(raw)
    elif damage == "foreign":
        np.savez(path, maps=np.zeros(3))
    elif damage == "missing":
        path.unlink()
    else:
        with np.load(path) as file:
            np.savez(path, **{**dict(file), "format": np.int32(99)})
    with pytest.raises(BankError, match="bank file") as caught:
        read_bank(path)
    assert "\n" not in str(caught.value)


def test_contents_that_do_not_fit_the_digest_are_refused(made, tmp_path):
    path = tmp_path / "bank.npz"
    write_bank(made, path)
    with np.load(path) as file:
        np.savez(path, **{**dict(file), "seeds": np.zeros(len(made), np.int64)})
    with pytest.raises(BankError, match="digest"):
        read_bank(path)


def test_suites_are_kept_where_the_user_says(made, tmp_path, monkeypatch):
    monkeypatch.setenv("RLJAX_LEVELS", str(tmp_path))
    path = cache_path("train")
    assert path.parent == tmp_path
    write_bank(made, path)
    assert _rows(load("train")) == _rows(made)
    assert _rows(load(path)) == _rows(made)


def test_standard_suites_have_250_levels():
    for name in ("train", "test"):
        assert sum(SUITES[name].counts.values()) == 250


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: load("tset"), "nearest is 'test'"),
        (lambda: make(["simplle"], [1]), "nearest is 'simple'"),
        (lambda: make(["simple"], [1], split="trian"), "nearest is 'train'"),
        (lambda: make(["simple"], [0]), "at least one"),
        (lambda: join([]), "at least one"),
    ],
)
def test_errors_are_one_line_that_names_what_was_expected(call, words):
    with pytest.raises(ValueError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_generator_without_solvable_levels_is_named(monkeypatch):
    monkeypatch.setattr(
        making, "prove_each", lambda levels, effort: ((n, None) for n, _ in enumerate(levels))
    )
    with pytest.raises(BankError, match="gave 0 levels out of 200 seeds"):
        make(["simple"], [1])


def test_proofs_come_with_their_numbers():
    levels = [generate("horizontal_corridor", "minimal", seed) for seed in range(6)]
    proofs = dict(prove_each(levels, FAST))
    assert sorted(proofs) == list(range(6))
    assert all(dataclasses.is_dataclass(proof) for proof in proofs.values())


def _without_search(levels, effort):
    """Every level is "proved" by two frames of running, at once."""
    return (
        (number, Proof(np.ones(2, np.int8), np.ones(2, bool))) for number, _ in enumerate(levels)
    )


@pytest.fixture
def one_corridor(monkeypatch):
    """Generators of which one, vertical_corridor:minimal, gives the same level for every seed."""
    real = making.generate

    def poor(family, preset, seed):
        return real(family, preset, 0 if family == "vertical_corridor" else seed)

    monkeypatch.setattr(making, "generate", poor)
    monkeypatch.setattr(making, "prove_each", _without_search)


def test_others_of_the_category_make_up_for_a_generator_with_few_levels(one_corridor):
    said = []
    bank = make(["simplest", "simpler"], [16, 4], say=said.append)
    of_each = {group.generator: group.size for group in bank.groups if group.category == "simplest"}
    assert of_each.pop("vertical_corridor:minimal") == 1
    assert sum(of_each.values()) == 15
    assert max(of_each.values()) == min(of_each.values()) == 5
    assert bank.categories.count("simpler") == 4
    (line,) = [line for line in said if "make up for" in line]
    assert "vertical_corridor:minimal of category simplest gave 1 levels out of 200" in line


def test_what_was_proved_before_an_interruption_is_not_searched_for_again(tmp_path, monkeypatch):
    searched = []

    def interrupted(levels, effort):
        for number, level in enumerate(levels):
            if len(searched) == 4:
                raise KeyboardInterrupt
            searched.append(level)
            yield number, Proof(np.full(3, -1, np.int8), np.array([True, False, True]))

    journal = tmp_path / "deep" / "bank.journal"
    monkeypatch.setattr(making, "prove_each", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make(["simple"], [6], journal=journal)
    with journal.open("a") as file:
        file.write('["maze:small", 1')  # cut short
    monkeypatch.setattr(making, "prove_each", _without_search)
    bank = make(["simple"], [6], journal=journal)
    assert sorted(proof.frames for proof in bank.proofs) == [2, 2, 3, 3, 3, 3]
    kept = next(proof for proof in bank.proofs if proof.frames == 3)
    assert kept.horizontal.tolist() == [-1] * 3 and kept.jump.tolist() == [True, False, True]


def test_suites_that_cannot_be_made_end_with_an_error(one_corridor, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RLJAX_LEVELS", str(tmp_path))
    monkeypatch.setitem(SUITES, "tiny", Suite("train", {"simple": 3}))
    assert main(["tiny"]) == 0
    assert [path.suffix for path in tmp_path.iterdir()] == [".npz"]
    monkeypatch.setattr(
        making, "prove_each", lambda levels, effort: ((n, None) for n, _ in enumerate(levels))
    )
    monkeypatch.setitem(SUITES, "tiny", Suite("train", {"simple": 4}))
    assert main(["tiny"]) == 2
    assert "gave 0 levels" in capsys.readouterr().err


def test_the_physics_has_no_handedness(starter):
    """A mirrored proof wins the mirrored level in the same frame."""
    rows = [
        (number, mirrored(level), Proof(-proof.horizontal, proof.jump))
        for number, (level, proof) in enumerate(zip(starter.maps, starter.proofs, strict=True))
        if number % 3 == 0
    ]
    checked = dict(check(rows, FAST))
    for number, proof in checked.items():
        assert proof is not None and proof.frames == starter.proofs[number].frames
