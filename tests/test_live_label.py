from tests.live import *
def test_a(step):
    import time
    step.happen(step.repository.issues[STORAGE])
    t=time.time()
    assert step.label()==0
    print(time.time()-t)
    t=time.time()
    assert step.label("--issue=930-981")==0
    print(time.time()-t)
    print(step.out, step.err, step.summary, step.outputs, step.writes, step.github.log)
    assert 0
