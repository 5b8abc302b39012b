"""Splits never overlap, lose nothing, are nested and follow from the seed; own lists are checked."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtkit.data.splits import class_split, difference_maximised, list_split, paper_sampling, paper_splits
from dmtkit.errors import DataError

LABELS = [c for c in range(4) for _ in range(11)]


@given(st.integers(1, 6), st.integers(0, 4), st.integers(0, 99))
def test_parts_are_disjoint_and_complete(per_class, val, seed):
    split = class_split(LABELS, per_class, val, seed)
    everything = [*split.labeled, *split.unlabeled, *split.val]
    assert sorted(everything) == list(range(len(LABELS)))
    for part, size in ((split.labeled, per_class), (split.val, val)):
        counts = [sum(LABELS[i] == c for i in part) for c in range(4)]
        assert counts == [size] * 4


@given(st.integers(1, 5), st.integers(0, 4), st.integers(0, 99))
def test_larger_labeled_sets_contain_smaller_ones(per_class, val, seed):
    small, large = (class_split(LABELS, n, val, seed) for n in (per_class, per_class + 1))
    assert set(small.labeled) < set(large.labeled)
    assert set(small.val) == set(large.val)


def test_a_split_follows_from_its_seed_alone():
    assert class_split(LABELS, 3, 2, 5) == class_split(LABELS, 3, 2, 5)
    assert class_split(LABELS, 3, 2, 5) != class_split(LABELS, 3, 2, 6)


def test_unlabeled_images_do_not_stand_in_class_order():
    unlabeled = [LABELS[i] for i in class_split(LABELS, 1, 1, 0).unlabeled]
    assert unlabeled != sorted(unlabeled)


def test_too_many_labels_name_every_small_class():
    with pytest.raises(DataError, match=r"labels(.|\n)*class 1: 2 images"):
        class_split([0] * 9 + [1] * 2, 3, 0, 0)


def test_own_lists():
    names = ["a", "b", "c", "d"]
    split = list_split(names, {"labeled": ["d"], "unlabeled": ["a", "b"], "val": ["c"]})
    assert split == (["d"], ["a", "b"], ["c"])


@pytest.mark.parametrize(
    ("lists", "complaint"),
    [
        ({"labeled": ["a"], "unlabeled": ["a"]}, "'a' stands already in 'labeled'"),
        ({"labeled": ["a"], "unlabeled": ["x"]}, "no image named 'x'"),
        ({"labeled": ["a"]}, "'unlabeled' is missing"),
        ({"labeled": ["a"], "unlabeled": ["b"], "train": ["c"]}, "unknown list 'train'"),
    ],
)
def test_bad_lists_are_refused(lists, complaint):
    with pytest.raises(DataError, match=complaint):
        list_split(["a", "b", "c"], lists)


def test_paper_splits_by_the_rule_itself():
    names = [f"{i:05d}" for i in range(10582)]
    found = paper_splits(names, [2, 4, 8, 20, 50, 105.82])
    assert [len(found[0][d].labeled) for d in (2, 4, 8, 20, 50, 105.82)] == [5291, 2645, 1322, 530, 211, 100]
    state = random.Random(7777)
    shuffled = list(names)
    for split in found:
        state.shuffle(shuffled)  # cumulative
        for part in split.values():
            assert part.labeled + part.unlabeled == shuffled
    assert set(found[1][105.82].labeled) < set(found[1][50].labeled) < set(found[1][2].labeled)
    assert [len(paper_splits(names[:2975], [d])[0][d].labeled) for d in (8, 29.75)] == [371, 100]
    assert paper_splits(names[::-1], [8]) == paper_splits(names, [8]), "whatever order the names come in"


def test_difference_maximised_lists():
    found = difference_maximised([str(i) for i in range(101)], random.Random(1))
    assert len(found.left) == len(found.right) == 80
    assert len(set(found.left) & set(found.right)) == 59
    assert set(found.left) | set(found.right) == {str(i) for i in range(101)}
    splits = paper_splits([f"{i:05d}" for i in range(10582)], [8, 20, 50, 105.82])
    sampled = paper_sampling(splits)
    state = random.Random(7777)
    for split, lists in zip(splits, sampled, strict=True):
        for d in (8, 20, 50, 105.82):
            order = list(split[d].labeled)
            state.shuffle(order)
            assert lists[d].left == order[: len(lists[d].left)]
            assert lists[d].right == order[-len(lists[d].right) :]
