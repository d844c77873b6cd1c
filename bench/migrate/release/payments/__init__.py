from apps.payments import migrations as ours

__path__ = [*ours.__path__, *__path__]
