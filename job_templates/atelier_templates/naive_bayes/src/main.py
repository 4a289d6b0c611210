"""Trains naive Bayes."""

import step
import training
from sklearn.naive_bayes import BernoulliNB, GaussianNB, MultinomialNB

given = step.parameters()
kinds = {
    "gaussian": GaussianNB(),
    "multinomial": MultinomialNB(alpha=given["smoothing"]),
    "bernoulli": BernoulliNB(alpha=given["smoothing"]),
}
training.train("naive-bayes", classifier=kinds[given["kind"]])
