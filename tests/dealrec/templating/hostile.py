"""Templates that attack: each by its name, with a word of the reason for which it is refused."""

HISTORY = "{{ history|join(', ') }}"
DOUBLED = "{% set a = 'xxxxxxxxxx' %}" + "{% set a = a ~ a %}" * 60 + "{{ a }}"
LISTS = "{% set a = [1] %}" + "{% set a = [a, a] %}" * 60 + "{{ a|length }}"
THOUSAND = "{% for i in range(1000) %}"
END = "{% endfor %}"

HOSTILE = {
    # loops
    "endless range": ("{% for i in range(10**18) %}x{% endfor %}", "cannot be used"),
    "long range": ("{% for i in range(1000000000000) %}x{% endfor %}", "range of more than"),
    "loop in a loop": (THOUSAND * 2 + "x" + END * 2, "steps"),
    "empty loops": (THOUSAND * 4 + END * 4, "steps"),
    "loop over all pairs": ("{% for a in history %}" * 6 + "x" + END * 6, "steps"),
    "loop over text": ("{% for c in history[0].title %}x{% endfor %}", "not a list"),
    "recursive loop": (
        "{% for i in history recursive %}{{ loop(history) }}{% endfor %}",
        "recursive",
    ),
    "slow filter in a loop": (
        "{% set a = 'x'|replace('x', '"
        + "y" * 9000
        + "') %}"
        + THOUSAND
        + "{{ a|upper|lower }}"
        + END,
        "steps|characters",
    ),
    "slow comparison in a loop": (
        "{% set a = '"
        + "y" * 9000
        + "' %}"
        + THOUSAND * 2
        + "{% if a == a ~ '' %}{% endif %}"
        + END * 2,
        "steps",
    ),
    "chain of filters in a loop": (
        THOUSAND + "{% if range(1000)" + "|select('number')" * 18 + "|sum %}{% endif %}" + END,
        "steps",
    ),
    "chain of cheap filters in a loop": (
        THOUSAND + "{% if range(1000)" + "|select" * 18 + "|max %}{% endif %}" + END,
        "steps",
    ),
    "sorting in a loop": (
        THOUSAND + "{% if range(1000)|sort|unique|first %}{% endif %}" + END,
        "steps",
    ),
    "sorting a text": ("{{ history[0].title|sort|join }}", "needs a list"),
    "search in a loop": (
        "{% set a = '" + "y" * 9000 + "' %}" + THOUSAND + "{% if 'yyx' in a %}{% endif %}" + END,
        "steps",
    ),
    "search in a list in a loop": (
        THOUSAND * 2 + "{% if 'x' in range(1000)|map('string') %}{% endif %}" + END * 2,
        "steps",
    ),
    "words in a loop": (
        "{% set a = '"
        + "y " * 4500
        + "' %}"
        + THOUSAND
        + "{% if a|title|wordcount %}{% endif %}"
        + END,
        "steps",
    ),
    # attribute walks
    "class": ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "cannot be called"),
    "class of an item": ("{{ history[0].__class__ }}", "__class__"),
    "class by its key": ("{{ history[0]['__class__'] }}", "__class__"),
    "class by filter": ("{{ history|attr('__class__') }}", "filter `attr`"),
    "class by map": ("{{ history|map(attribute='__class__')|join }}", "__class__"),
    "walk by map": (
        "{{ history|map(attribute='title.__class__.__mro__')|join }}",
        "title.__class__|text",
    ),
    "globals of a function": ("{{ range.__globals__ }}", "__globals__"),
    "globals of a filter": (
        "{{ lipsum.__globals__['os'].popen('id').read() }}",
        "cannot be called",
    ),
    "cycler": ("{{ cycler.__init__.__globals__ }}", "__"),
    "namespace": ("{% set ns = namespace(x=1) %}{{ ns.x }}", "only `range`"),
    "write to a namespace": ("{% set history.x = 1 %}", "cannot be used"),
    "the environment": ("{{ self.__dict__ }}", "__dict__"),
    "the loop's own": ("{% for i in history %}{{ loop._iterator }}{% endfor %}", "_iterator"),
    "the loop's method": (
        "{% for i in history %}{{ loop.cycle('a', 'b') }}{% endfor %}",
        "cannot be called",
    ),
    "a generator's frame": ("{{ (history|map('upper')).gi_frame }}", "gi_frame"),
    "a loop that pays back": (
        "{% for x in range(3)|map('_loop', -1000000000) %}{% endfor %}",
        "the filter `_loop`",
    ),
    "lists of a map": ("{{ ['abc', 'de']|map('select')|map('first')|join }}", "needs a list"),
    "the budget": ("{{ _budget.spend(-1000000) }}", "cannot be called"),
    # output
    "text times number": ("{{ 'a' * 1000000000 }}", "not a number"),
    "list times number": ("{{ [0] * 1000000000 }}", "not a number"),
    "padding": ("{{ 'a'|center(1000000000) }}", "filter `center`"),
    "indented": ("{{ history[0].title|indent(1000000000) }}", "filter `indent`"),
    "doubling": (DOUBLED, "characters"),
    "doubling by plus": (DOUBLED.replace("~", "+"), "characters"),
    "doubling by replace": (
        "{% set a = 'xx' %}" + "{% set a = a|replace('x', 'xx') %}" * 40 + "{{ a }}",
        "characters",
    ),
    "doubling of lists": (LISTS, "list"),
    "joined": ("{{ range(1000)|join('" + "y" * 2000 + "') }}", "characters"),
    "many words": (THOUSAND + "y" * 2000 + END, "characters|steps"),
    "filled batch": ("{{ history|batch(1000000000, 'x') }}", "filter `batch`"),
    # numbers
    "power": ("{{ 9 ** 9 ** 9 }}", "cannot be used"),
    "product": ("{% set a = 10 %}" + "{% set a = a * a %}" * 40 + "{{ a }}", "number above"),
    "division by zero": ("{{ 1 // 0 }}", "zero"),
    "rounding": ("{{ 1.5|round(1000000000) }}", "digits"),
    # formats
    "format": ("{{ '%1000000000d'|format(1) }}", "filter `format`"),
    "percent": ("{{ '%1000000000d' % 1 }}", "not a number"),
    "format method": ("{{ '{0.__class__}'.format(history) }}", "cannot be called"),
    "format_map": ("{{ '{x.__class__}'.format_map({'x': 1}) }}", "cannot be called"),
    # files, macros, names
    "include": ("{% include '/etc/passwd' %}", "include"),
    "import": ("{% import 'os' as os %}{{ os }}", "import"),
    "extends": ("{% extends 'base.html' %}", "extends"),
    "macro of itself": ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "macro|calls"),
    "undefined": ("{{ no_such_name }}", "not a name here"),
    "undefined later": ("{% for i in history %}{% endfor %}{{ i.title }}", "undefined"),
    "the answer": (HISTORY + "{{ target.title }}", "the answer"),
    # syntax
    "broken": ("{% for i in history %}", "line 1"),
    "deep brackets": ("{{ " + "(" * 4000 + "1" + ")" * 4000 + " }}", "nested"),
    "deep blocks": ("{% if 1 %}" * 400 + "{% endif %}" * 400, "nested"),
    "deep signs": ("{{ " + "-" * 4000 + "1 }}", "nested"),
    "many parts": ("{{1+1}}" * 1400, "parts"),
    "long number": ("{{ " + "9" * 6000 + " }}", "number"),
    "too long": ("x" * 10_001, "at most 10000 characters"),
}
