from dealrec.data.prompts import PromptedSample
from dealrec.recommenders.shuffling import shuffled_history


def test_a_shuffled_history_has_the_same_titles_in_another_order():
    sample = PromptedSample("Name it.", '"A, b", "C", "D"', '"E"')
    shuffled = shuffled_history(sample, 3)
    assert shuffled == shuffled_history(sample, 3)
    assert shuffled.input != sample.input
    assert sorted(shuffled.input.replace('", "', '"|"').split("|")) == ['"A, b"', '"C"', '"D"']
    assert (shuffled.instruction, shuffled.output) == (sample.instruction, sample.output)
    assert shuffled_history(PromptedSample("", '"A"', "B"), 0).input == '"A"'
