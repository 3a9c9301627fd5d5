"""What a made model has to answer, computed without a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING

from builder.gates.correctness.questions import TOKENS, Question
from builder.server.foresight import Step, Token
from builder.server.models.shape import TINY, ModelKind
from builder.server.models.vocabulary import SPACE, Vocabulary, sentence_pieces

if TYPE_CHECKING:
    from builder.server.models.reference import LlamaReference


@dataclass(frozen=True)
class Foretold:
    """The tiny `llama` model and its right answers.

    Attributes:
        vocabulary: its tokens.
    """

    vocabulary: Vocabulary
    _answers: dict[Question, tuple[Step, ...]] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def _reference(self) -> LlamaReference:
        from builder.server.models.reference import LlamaReference

        return LlamaReference(TINY[ModelKind.LLAMA])

    @cached_property
    def _numbers(self) -> Mapping[str, int]:
        """Numbers of the tokens that are text, by their text."""
        words = range(self.vocabulary.first_word, len(self.vocabulary.tokens))
        return {self.spell(number): number for number in words}

    def answer(self, question: Question) -> tuple[Step, ...]:
        """The right answer to a prompt in tokens, with the probabilities of all tokens.

        It ends early where the model does not go on as its vocabulary foretells, which it hardly ever does. An answer
        is computed once: whoever asks from several threads has to see to it that they take turns.
        """
        if question not in self._answers:
            self._answers[question] = self._computed(question)
        return self._answers[question]

    def _computed(self, question: Question) -> tuple[Step, ...]:
        prompt = [token for token in question.prompt if isinstance(token, int)]
        ahead = self.vocabulary.foretell(prompt[-1], TOKENS)
        rows = self._reference.log_probabilities([*prompt, *ahead[:-1]], TOKENS)
        steps: list[Step] = []
        for row, foretold in zip(rows, ahead, strict=True):
            winner = int(row.argmax())
            steps.append(Step(winner, dict(enumerate(row.tolist()))))
            if winner != foretold:
                break
        return tuple(steps)

    def spell(self, token: Token) -> str:
        """The text of a token."""
        return self.vocabulary.tokens[token].replace(SPACE, " ") if isinstance(token, int) else token

    def numbered(self, steps: Sequence[Step]) -> tuple[Step, ...]:
        """An answer with tokens by their numbers; texts that are no token of the vocabulary stay."""
        return tuple(
            Step(self._number(step.token), {self._number(one): value for one, value in step.likely.items()}, step.whole)
            for step in steps
        )

    def _number(self, token: Token) -> Token:
        return self._numbers.get(token, token) if isinstance(token, str) else token


@cache
def foretold() -> Foretold:
    """The tiny `llama` model's right answers, the same for all who ask."""
    return Foretold(sentence_pieces(TINY[ModelKind.LLAMA].vocabulary))
