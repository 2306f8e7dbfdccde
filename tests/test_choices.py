"""Which choice an answer makes: many dresses, many languages, and what is none."""

from __future__ import annotations

import pytest

from doteval.errors import UsageError
from doteval.evaluators import choice_match

READ = [  # (answer, the choice that it makes)
    # alone
    ("B", "B"),
    ("b", "B"),
    ("(B)", "B"),
    ("**B**", "B"),
    ("B.", "B"),
    ("`B`", "B"),
    ('"B"', "B"),
    ("Option B", "B"),
    ("ⓑ", "B"),
    ("Ｂ", "B"),
    ("（Ｂ）", "B"),
    ("𝐁", "B"),
    ("\u200bB\ufeff", "B"),
    ("<b>B</b>", "B"),
    ("B<|im_end|>", "B"),
    ("$B$", "B"),
    (b"B", "B"),
    # a label at the beginning
    ("B, Paris", "B"),
    ("B because it is the capital", "B"),
    ("B. Paris", "B"),
    ("B) Paris", "B"),
    ("B: Paris", "B"),
    ("B - Paris", "B"),
    ("(b) Paris", "B"),
    ("**B) Paris**", "B"),
    ("- B. Paris", "B"),
    ("B\n\nBecause C is wrong.", "B"),
    ("B. Paris\n\nA. Rome is not in France.", "B"),
    # marked
    (r"So $\boxed{B}$ it is; the answer is not C", "B"),
    (r"\boxed{A} or rather \boxed{\text{(B)}}", "B"),
    (r"\boxed{\textbf{B}}", "B"),
    (r"\boxed{\text{B. Paris}}", "B"),
    (r"\[\boxed{\mathrm{B}}\]", "B"),
    (r"$\boxed{\text{Option } B}$", "B"),
    (r"\fbox{B}", "B"),
    (r"$\boxed{\textbf{(B)}\ 42}$", "B"),
    ("<answer>B</answer>", "B"),
    ("<answer>\nThe answer is B.\n</answer>", "B"),
    ("<final_answer>(B)</final_answer>", "B"),
    (f"<answer>{'So it goes. ' * 300}The answer is B.</answer>", "B"),
    ("I compared A and C. <answer>B) Paris</answer>", "B"),
    ('{"answer": "B"}', "B"),
    ('{"reason": "A is wrong", "answer": "B"}', "B"),
    ('```json\n{"choice": "B", "why": "because C is not"}\n```', "B"),
    ("The verdict is [[B]].", "B"),
    ("First, A.\n#### B", "B"),
    # stated
    ("The answer is B.", "B"),
    ("The answer is (B) because A is wrong.", "B"),
    ("The answer is A because B is wrong.", "A"),
    ("Answer: **B**", "B"),
    ("**Answer:** B", "B"),
    ("__Answer__ : ( b )", "B"),
    ("## Answer\n\nB", "B"),
    ("Answer: Option B", "B"),
    ("Answer = B", "B"),
    ("Answer - B", "B"),
    ("Ans: B", "B"),
    ("Correct answer: B", "B"),
    ("The correct option is: **B**", "B"),
    ("The right option is B; option C is close.", "B"),
    ("Therefore, the correct choice is (B).", "B"),
    ("The best answer would be B.", "B"),
    ("The answer must be B.", "B"),
    ("The answer is most likely B", "B"),
    ("The answer is option (B).", "B"),
    ("The answer to this question is B.", "B"),
    ("The answer is: [B]", "B"),
    ("The answer is A", "A"),
    ("The answer is a", "A"),
    ("I choose option D", "D"),
    ("I choose B", "B"),
    ("I would choose B.", "B"),
    ("I'd go with B.", "B"),
    ("I'll pick (B)", "B"),
    ("I select B because it fits.", "B"),
    ("Let's go with B.", "B"),
    ("My choice is B.", "B"),
    ("I think it's B.", "B"),
    ("I think B", "B"),
    ("I think A is tempting, but the answer is B.", "B"),
    ("It's B.", "B"),
    ("I believe the answer is B", "B"),
    ("B is correct", "B"),
    ("B is the correct answer.", "B"),
    ("(B) is right.", "B"),
    ("Option B is the best choice", "B"),
    ("B (Paris) is correct.", "B"),
    ("Therefore, B.", "B"),
    ("So, (B).", "B"),
    ("The answer would be 'B'.", "B"),
    ("Definitely B!", "B"),
    ("Probably B", "B"),
    ("It must be B.", "B"),
    ("Must be B.", "B"),
    ("B it is.", "B"),
    ("Ans. (b)", "B"),
    ("Correct: B", "B"),
    ("✔ B) Paris", "B"),
    ("B | Paris", "B"),
    ("Only B satisfies all conditions.", "B"),
    ("Of A, B, C and D, the best is B.", "B"),
    ("The right one is B.", "B"),
    # before and after explanations
    ("Answer: D\n\nExplanation: the answer A is wrong because it is old.", "D"),
    ("Option (B) is correct while option (A) is incorrect.", "B"),
    ("Answer: B. The answer A would be right if x were 2.", "B"),
    ("The answer is B. Option A is wrong.", "B"),
    ("The answer is B, not option C", "B"),
    ("The answer is B, C is wrong.", "B"),
    ("Option B is right. Option A is wrong", "B"),
    ("A: no. B: no. C: yes.", "C"),
    ("A) incorrect\nB) correct\nC) incorrect\nD) incorrect", "B"),
    ("A is wrong, C is wrong and D is wrong. So B is correct.", "B"),
    ("A. Rome\nB. Paris\nC. Berlin\n\nThe capital of France is Paris, so the answer is B.", "B"),
    ("A. Rome\nB. Paris\nC. Berlin\nB", "B"),
    ("Let us see. Rome is in Italy.\n\nB", "B"),
    ("Let us see. Rome is in Italy.\n\n(B) Paris", "B"),
    ("Let us see.\n\n**B**\n", "B"),
    ("I ruled out A. A is the first letter. Answer: B", "B"),
    ("A cat sat, I think. My answer: B", "B"),
    # taken back
    ("answer is A ... no, the correct answer is: C", "C"),
    ("The answer is A. Wait, that is wrong. The answer is B.", "B"),
    ("Answer: A\n\nActually, let me reconsider.\n\nAnswer: B", "B"),
    ("The answer is A at first sight.\nFinal answer: B", "B"),
    ("Answer: A. No wait, actually the answer is B.", "B"),
    (r"\boxed{A}. Wait, I was wrong: the answer is B.", "B"),
    (r"The answer is $\boxed{B}$, not $\boxed{A}$.", "B"),
    ("Answer: B. Actually, many say that the answer is A.", "B"),
    # reasoning
    ("<think>The answer is A. Or C?</think>B", "B"),
    ("<think>The answer is A.</think>\n\nThe answer is B.", "B"),
    ("The answer is A, I thought.</think>The answer is B.", "B"),
    ("<reasoning>A? C?</reasoning>\n<answer>B</answer>", "B"),
    ("<scratchpad>answer: A</scratchpad> Answer: B", "B"),
    ("<thinking>A <thinking>C</thinking> D</thinking>B", "B"),
    ("[THINK]Answer: A[/THINK]B", "B"),
    ("◁think▷Answer: A◁/think▷B", "B"),
    ("<|channel|>analysis<|message|>A?<|end|><|start|>assistant<|channel|>final<|message|>B", "B"),
    # languages
    ("答案：B", "B"),
    ("答案是B。", "B"),
    ("正确答案是 B", "B"),
    ("因此，选B。", "B"),
    ("故选：B", "B"),
    ("选项B是正确的", "B"),
    ("选项A不正确，选项B正确。", "B"),
    ("答えはBです。", "B"),
    ("正解：B", "B"),
    ("Bが正解です。", "B"),
    ("정답은 B입니다.", "B"),
    ("정답: B", "B"),
    ("Die Antwort ist B", "B"),
    ("Die richtige Antwort lautet B.", "B"),
    ("Antwort: B", "B"),
    ("B ist richtig.", "B"),
    ("Ich wähle B.", "B"),
    ("La respuesta correcta es la B.", "B"),
    ("La respuesta es A porque B no sirve.", "A"),
    ("Respuesta: B", "B"),
    ("La réponse est B.", "B"),
    ("La bonne réponse est la lettre B", "B"),
    ("Réponse : B", "B"),
    ("C'est B.", "B"),
    ("A resposta correta é a alternativa B.", "B"),
    ("A resposta é B.", "B"),
    ("Resposta: letra B", "B"),
    ("La risposta corretta è la B.", "B"),
    ("Правильный ответ: B", "B"),
    ("Ответ — B.", "B"),
    ("सही उत्तर B है।", "B"),
    ("उत्तर: B", "B"),
    ("الإجابة الصحيحة هي B.", "B"),
    ("الجواب: B", "B"),
    ("সঠিক উত্তর হল B।", "B"),
    ("صحیح جواب B ہے", "B"),
    ("Jawaban yang benar adalah B.", "B"),
    ("Jawaban: B", "B"),
    ("Doğru cevap B'dir.", "B"),
    ("Cevap: B", "B"),
    ("Đáp án đúng là B.", "B"),
    ("Poprawna odpowiedź to B.", "B"),
    ("Het juiste antwoord is B.", "B"),
    ("คำตอบคือ B", "B"),
    ("پاسخ صحیح B است", "B"),
    ("Rätt svar är B.", "B"),
    ("Jibu sahihi ni B.", "B"),
    ("Отговор: B", "B"),
    ("A helyes válasz a B.", "B"),
    ("A alternativa correta é a B.", "B"),
    ("Réponse finale : B", "B"),
    ("Jawaban yang paling tepat adalah B", "B"),
    ("Cevabım B", "B"),
    ("My answer's B.", "B"),
]

UNREAD = [
    None,
    "",
    " \n ",
    "Paris",
    "I don't know",
    "A cat sat",
    "A",  # below, with other letters
    "I think that it is a matter of taste.",
    "The answer is a mammal",
    "The answer is Berlin",
    "The answer is E",
    "E",
    r"\boxed{42}",
    "Choices: A, B",
    "It is not option B",
    "It isn\u2019t option B",
    "The answer is not B",
    "B is wrong",
    "B is not correct",
    "If the answer is B, then it rains.",
    "It could be B.",
    "Is it B?",
    "Is the answer B?",
    "The answer is one of A, B, C or D.",
    "Choose A, B, C or D.",
    "The answer is A or B",
    "The answer is A, B or C",
    "Let us see.\nB. is nice\nwho knows",
    "Both A and B are correct.",
    "The answer is A. The answer is B.",
    "Answer: A\nAnswer: B",
    r"\boxed{A} \boxed{B}",
    "A\n\nB",
    "<answer>A</answer><answer>B</answer>",
    "答案是A。答案是B。",
    "答案不是B",
    "<think>The answer is B",
    "<think>The answer is B</think>",
    "A. Rome\nB. Paris\nC. Berlin\nD. Bern",
    "The B-side, B.C. and vitamin B12",
    "Plan B: none",
    "Wrong answer: B",
    {"answer": "B"},
]
UNREAD.remove("A")


@pytest.mark.parametrize(("answer", "choice"), READ, ids=lambda value: repr(value)[:60])
def test_a_choice_is_read(answer, choice):
    """Whatever it wears and whatever it says beside it."""
    score = choice_match(answer, "B")

    assert score.metadata["choice"] == choice
    assert score.value is (choice == "B")
    assert not score.unread
    assert "problem" not in score.metadata


@pytest.mark.parametrize("answer", UNREAD, ids=lambda value: repr(value)[:60])
def test_what_makes_no_choice_is_unread(answer):
    """Neither prose, nor denial, nor several choices are a pick; the score says why."""
    score = choice_match(answer, "B")

    assert (score.value, score.unread, score.metadata["choice"]) == (False, True, None)
    assert score.metadata["problem"]


CAPITALS = ["Paris", "Rome", "New York", "York"]


@pytest.mark.parametrize(
    ("answer", "choice"),
    [
        ("Paris", "A"),
        ("**rome.**", "B"),
        ("The capital is Paris.", "A"),
        ("It is New York, of course.", "C"),
        ("York", "D"),
        ("The answer is Rome", "B"),
        (r"\boxed{\text{New York}}", "C"),
        ("<answer>paris</answer>", "A"),
        ("Not Paris but Rome", "B"),
        ("B", "B"),
        ("Answer: B. Rome", "B"),
        ("The answer is New York, which is larger than Paris.", "C"),
        ("答案是 Rome，不是 Paris", "B"),
        ("Answer: B. Paris", None),
        ("Paris or Rome", None),
        ("London", None),
    ],
)
def test_the_text_of_an_option_is_its_letter(answer, choice):
    """Where the options are given; a letter with the text of another one is no choice."""
    assert choice_match(answer, "A", CAPITALS).metadata["choice"] == choice
    assert choice_match(answer, 1, dict(zip("ABCD", CAPITALS, strict=True))).value is (
        choice == "B"
    )


@pytest.mark.parametrize(
    ("answer", "expected", "choices"),
    [
        ("C", 2, "ABCD"),
        ("e", "E", "abcde"),
        ("Paris", "Paris", CAPITALS),
        ("The answer is 3", "3", "1234"),
        ("I", "I", "ABCDEFGHI"),
        ("The answer is I.", "I", "ABCDEFGHI"),
        ("I think the answer is C", "C", "ABCDEFGHI"),
        ("Ответ: Б", "Б", "АБВГ"),
        ("B", "B", ["A", "B"]),
        ("It is B.", "B", {"A": "", "B": ""}),
    ],
)
def test_choices_are_letters_digits_or_texts(answer, expected, choices):
    """And the expected one is a letter, a position from 0, or a text."""
    assert choice_match(answer, expected, choices).value is True


@pytest.mark.parametrize("expected", ["E", 4, -1, "AB", "", None, True])
def test_the_expected_choice_is_one_of_them(expected):
    """A broken dataset does not make every answer wrong."""
    with pytest.raises(UsageError, match="expected one of A, B, C, D"):
        choice_match("A", expected)


def test_a_mark_within_a_mark_comes_to_an_end():
    """However often it is done."""
    score = choice_match("<answer>\\boxed{" * 2_000 + "B" + "}</answer>" * 2_000, "B")

    assert score.metadata["choice"] == "B"
