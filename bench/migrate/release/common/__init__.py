from apps.common import migrations as ours

__path__ = [*ours.__path__, *__path__]
