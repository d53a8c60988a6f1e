"""What is said of a word that there is not."""

import pytest

from envs_jax.words import check_word


def test_the_nearest_is_named_in_one_line():
    check_word("mode", "full", ("full", "bank"))
    with pytest.raises(ValueError) as error:
        check_word("mode", "banks", ("full", "bank"))
    assert str(error.value) == "mode 'banks': expected one of full, bank; nearest is 'bank'"


@pytest.mark.parametrize("word", [3, None, ""])
def test_what_is_no_word_is_told_like_one(word):
    with pytest.raises(ValueError, match="expected one of full, bank; nearest is"):
        check_word("mode", word, ("full", "bank"))
